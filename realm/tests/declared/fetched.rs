//! Components that the manifest names by URL: the operator's command fetches them, and nodes have them from it.

use crate::manifest::component;
use crate::shell::realm;
use crate::support::guest;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use shared::Digest;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Serves these bytes to everybody, with TLS if there is a configuration for it. Gives `HOST:PORT`, and each request line.
fn server(bytes: Vec<u8>, tls: Option<Arc<ServerConfig>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let line = match &tls {
                None => answer(stream, &bytes),
                Some(tls) => answer(StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), stream), &bytes),
            };
            tell.send(line).unwrap();
        }
    });
    (addr, told)
}

fn answer(mut stream: impl Read + Write, bytes: &[u8]) -> String {
    let head = BufReader::new(&mut stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let line = head.collect::<Vec<_>>().first().cloned().unwrap_or_default();
    // Who does not trust this server is gone.
    let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
    let _ = stream.write_all(length.as_bytes()).and_then(|()| stream.write_all(bytes)).and_then(|()| stream.flush());
    line
}

#[test]
fn components_from_elsewhere_run_and_agents_ask_nobody_for_them() {
    let (shell, agents) = realm(&[&[], &[]]);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let roots = shell.home.path().join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let (secured, asked) = server(guest("ticker"), Some(Arc::new(tls)));
    let (open, asked_openly) = server(guest("sleep"), None);
    let digest = Digest::of(&guest("sleep")).hex();
    let text = format!(
        "rollout.min_healthy_s = 0\n{}[components.far]\nsource = \"https://{secured}/ticker.wasm?key=secret\"\n\
         [components.near]\nsource = \"http://{open}/sleep.wasm\"\nsha256 = \"{digest}\"\n",
        component("file", "hello", "")
    );
    std::fs::write(shell.manifest(), text).unwrap();
    let file = shell.manifest();
    let words = |verb: &'static str| [verb, "--file", file.to_str().unwrap(), "--json"];

    // A certificate that nobody of this machine vouches for.
    let (code, _, err) = crate::child::run(shell.command(&words("plan")).env("SSL_CERT_FILE", shell.manifest()));
    assert_eq!(code, Some(1), "{err}");
    let fault = format!("realm.toml:6:10: cannot fetch `https://{secured}/ticker.wasm?…`: invalid peer certificate");
    assert!(err.contains(&fault) && err.contains("SSL_CERT_FILE names") && !err.contains("secret"), "{err}");

    let trusting = |verb: &'static str, more: &[&str]| {
        let mut command = shell.command(&[&words(verb)[..], more].concat());
        crate::child::run(command.env("SSL_CERT_FILE", &roots))
    };
    let (code, out, err) = trusting("apply", &["--yes", "--timeout", "50s"]);
    assert_eq!(code, Some(0), "{out}{err}");
    for agent in &agents {
        for (name, guest_of) in [("far", "ticker"), ("near", "sleep")] {
            let component = agent.until(name, "running");
            assert_eq!(component["digest"], Digest::of(&guest(guest_of)).to_string(), "{component}");
        }
    }
    let lines: Vec<String> = asked.try_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["GET /ticker.wasm?key=secret HTTP/1.1"], "once, for the apply");
    assert_eq!(asked_openly.try_iter().collect::<Vec<_>>(), ["GET /sleep.wasm HTTP/1.1"; 2], "by both commands");
    let (code, out, err) = trusting("plan", &["--detailed-exitcode"]);
    assert_eq!(code, Some(0), "{out}{err}");
}
