//! The HTTP client: what it is allowed, whom it trusts, and its errors in the operator's words. The only place, with the watch of
//! its connections, that names the libraries for it.

use super::idle::Watched;
use crate::exit::Failure;
use crate::manifest::shown;
use shared::MAX_ARTIFACT_BYTES;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Error, Proxy, ProxyProtocol, Timeout};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What a download may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The largest one: what can be pushed.
    pub(super) bytes: u64,
    /// Until the name is resolved, and again until there is a connection: lost packets are sent again within it, twice.
    pub(super) connect: Duration,
    /// For so long nothing may come: a server that builds what it sends needs a while for the first byte.
    pub(super) idle: Duration,
    /// From the beginning to the last byte, redirects included: the largest artifact at 2.4 Mbit/s.
    pub(super) total: Duration,
    /// Release pages lead to a storage service, that perhaps to one nearby.
    pub(super) redirects: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: MAX_ARTIFACT_BYTES,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_secs(60 * 60),
            redirects: 5,
        }
    }
}

/// See the module.
pub(super) struct Client {
    limits: Limits,
    /// For `https:`, redirects included.
    secured: Agent,
    /// For `http:`, which may lead to `https:`.
    open: Agent,
}

impl Client {
    /// A client that goes through the proxies that `env` names.
    ///
    /// # Errors
    /// When one of these variables cannot be used.
    pub(super) fn new(env: &BTreeMap<String, String>, limits: Limits) -> Result<Client, Failure> {
        // Where there are none, nobody is trusted, and that is told.
        let roots = rustls_native_certs::load_native_certs().certs;
        Client::trusting(
            roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned()).collect(),
            env,
            limits,
        )
    }

    /// The same, with these authorities.
    pub(super) fn trusting(
        roots: Vec<Certificate<'static>>,
        env: &BTreeMap<String, String>,
        limits: Limits,
    ) -> Result<Client, Failure> {
        let roots = RootCerts::from(roots);
        let agent = |https_only| {
            let tls = TlsConfig::builder()
                .root_certs(roots.clone())
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
            let config = Config::builder()
                .https_only(https_only)
                .tls_config(tls.build())
                .proxy(proxy(env, https_only)?)
                .http_status_as_error(false)
                .max_redirects(limits.redirects)
                .user_agent(concat!("realm/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .timeout_resolve(Some(limits.connect))
                .timeout_connect(Some(limits.connect))
                .timeout_global(Some(limits.total));
            let connector = DefaultConnector::default().chain(Watched(limits.idle));
            Ok::<_, Failure>(Agent::with_parts(config.build(), connector, DefaultResolver::default()))
        };
        Ok(Client { limits, secured: agent(true)?, open: agent(false)? })
    }

    /// Fetches a URL. `take` gets each piece, how many bytes have come with it, and how many there are if the server says that; it
    /// ends the download by `false`.
    ///
    /// # Errors
    /// What keeps it from being there as a whole.
    pub(super) fn fetch(
        &self,
        url: &str,
        mut take: impl FnMut(&[u8], u64, Option<u64>) -> bool,
    ) -> Result<(), Failure> {
        let is_secured = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let agent = if is_secured { &self.secured } else { &self.open };
        let mut response = agent.get(url).call().map_err(|error| self.failure(url, &error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(url, response.status()));
        }
        let of = response.body().content_length();
        let too_large = |bytes: &str| {
            let most = self.limits.bytes;
            Err(Failure::new(format!("`{}` has {bytes} bytes, at most {most} are allowed", shown(url))))
        };
        if let Some(of) = of.filter(|of| *of > self.limits.bytes) {
            return too_large(&of.to_string());
        }
        let mut body = response.body_mut().as_reader();
        let (mut buffer, mut count) = (vec![0; READ_BYTES], 0);
        loop {
            let read = match body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let Failure { message, hint, .. } = self.failure(url, &Error::from(error));
                    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
                    return Err(Failure { hint, ..Failure::new(format!("{message}, after {count}{of} bytes")) });
                }
            };
            count += read as u64;
            if count > self.limits.bytes {
                return too_large("more");
            }
            if read == 0 || !take(&buffer[..read], count, of) {
                return Ok(());
            }
        }
    }

    /// An error in the operator's words. Where a redirect led is not named: such URLs are signed, or nobody has written them.
    fn failure(&self, url: &str, error: &Error) -> Failure {
        const AGAIN: &str = "try again, or download it and name the file";
        let unresolved =
            || ("its host is not found".to_owned(), "is the name right, and does this machine resolve others?");
        let (fault, hint) = match error {
            Error::HostNotFound => unresolved(),
            // The standard library has no kind for it.
            Error::Io(error) if error.to_string().starts_with("failed to lookup address") => unresolved(),
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                let text = format!("no connection within {} seconds", self.limits.connect.as_secs());
                (text, "is the server up, and does a proxy have to be named by HTTPS_PROXY or HTTP_PROXY?")
            }
            Error::Timeout(_) => (format!("not there within {} minutes", self.limits.total.as_secs() / 60), AGAIN),
            Error::TooManyRedirects => {
                (format!("redirected more than {} times", self.limits.redirects), "name the URL where it is in the end")
            }
            Error::RedirectFailed | Error::BadUri(_) => {
                ("redirected to nowhere".to_owned(), "name the URL where it is in the end")
            }
            // What is wrong with it may be where it redirects to.
            Error::Protocol(_) => ("the answer is none of HTTP, or leads nowhere".to_owned(), "is the port right?"),
            Error::RequireHttpsOnly(_) => (
                "redirected to a URL without TLS, which is not followed".to_owned(),
                "name a URL that stays with `https://`, or the one without TLS together with `sha256`",
            ),
            Error::ConnectProxyFailed(why) => {
                (format!("refused by the proxy: {why}"), "NO_PROXY names hosts that need none")
            }
            Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ("its server refuses the connection".to_owned(), "is it up, and is the port right?")
            }
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => ("it ends too early".to_owned(), AGAIN),
            Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => return untrusted(url, error),
                None => (error.to_string(), AGAIN),
            },
            Error::Rustls(error) => return untrusted(url, error),
            error => (error.to_string(), AGAIN),
        };
        Failure::new(format!("cannot fetch `{}`: {fault}", shown(url))).hint(hint)
    }
}

fn untrusted(url: &str, error: &rustls::Error) -> Failure {
    let hint = match error {
        rustls::Error::InvalidCertificate(_) => {
            "whom this machine trusts is in its certificates; SSL_CERT_FILE names a file of others, such as your own"
        }
        _ => "is this the port for `https://`?",
    };
    Failure::new(format!("cannot fetch `{}`: {error}", shown(url))).hint(hint)
}

fn refused(url: &str, status: StatusCode) -> Failure {
    let hint = match status.as_u16() {
        401 | 403 | 407 => "no password is sent: it has to be there for everybody, or download it and name the file",
        404 | 410 => "is the URL right?",
        _ => "try again later, or download it and name the file",
    };
    Failure::new(format!("cannot fetch `{}`: the server answers {status}", shown(url))).hint(hint)
}

/// The proxy for one of both schemes, as the usual variables name it.
///
/// # Errors
/// Which of them cannot be used. What it says is not shown, for there may be a password in it.
fn proxy(env: &BTreeMap<String, String>, secured: bool) -> Result<Option<Proxy>, Failure> {
    let value = |name: &str| {
        let names = [name.to_owned(), name.to_ascii_lowercase()];
        names.into_iter().find_map(|name| env.get(&name).filter(|value| !value.is_empty()).map(|value| (name, value)))
    };
    let own = if secured { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let Some((name, url)) = value(own).or_else(|| value("ALL_PROXY")) else { return Ok(None) };
    let unusable = |_| Failure::new(format!("{name} names no proxy")).hint("expected `http://HOST:PORT`");
    let parsed = Proxy::new(url).map_err(unusable)?;
    if !matches!(parsed.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(unusable(Error::InvalidProxyUrl));
    }
    let mut proxy = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    proxy = parsed.username().into_iter().fold(proxy, |proxy, name| proxy.username(name));
    proxy = parsed.password().into_iter().fold(proxy, |proxy, word| proxy.password(word));
    let direct = value("NO_PROXY").map(|(_, hosts)| hosts.as_str()).unwrap_or_default();
    proxy = direct
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .fold(proxy, |proxy, host| proxy.no_proxy(host));
    proxy.build().map(Some).map_err(unusable)
}
