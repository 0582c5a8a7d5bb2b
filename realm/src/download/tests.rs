//! Downloads from a server of the test, whatever it answers.

use super::client::{Client, Limits};
use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::Certificate;

type Env = BTreeMap<String, String>;

/// Serves one connection after the other, each by the next one of these. Gives `HOST:PORT`.
fn server<T: Send + 'static>(serve: impl Fn(TcpStream, T) + Send + 'static, connections: Vec<T>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in connections {
            serve(listener.accept().unwrap().0, connection);
        }
    });
    addr
}

fn read_head(stream: impl Read) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect()
}

/// Each request gets the next answer, and then the end of the connection.
fn answers(answers: &[&str]) -> String {
    let serve = |mut stream: TcpStream, answer: String| {
        read_head(&stream);
        // A client that has read enough is gone.
        let _ = stream.write_all(answer.as_bytes());
    };
    server(serve, answers.iter().map(|answer| (*answer).to_owned()).collect())
}

fn client(limits: Limits) -> Client {
    Client::trusting(Vec::new(), &Env::new(), limits).unwrap()
}

fn limits() -> Limits {
    Limits { bytes: 1_000, ..Limits::default() }
}

fn fetch(client: &Client, url: &str) -> Result<String, Failure> {
    let Download { mut file, digest } = one(client, url, |_, _| {})?;
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(digest, Digest::of(text.as_bytes()));
    Ok(text)
}

/// What is told of `http://SERVER/x?key=secret`: always with its name, and never with what may be a key.
#[track_caller]
fn fault(client: &Client, server: &str) -> String {
    let failure = fetch(client, &format!("http://{server}/x?key=secret")).unwrap_err();
    let told = format!("{}; hint: {}", failure.message, failure.hint.unwrap_or_default());
    assert!(told.contains(&format!("`http://{server}/x?…`")) && !told.contains("secret"), "{told}");
    told
}

#[test]
fn bytes_come_by_length_in_chunks_and_until_the_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbyt\r\n2\r\nes\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nbytes",
    ] {
        let server = answers(&[answer]);
        assert_eq!(fetch(&client(limits()), &format!("HTTP://{server}/a")), Ok("bytes".into()), "{answer}");
    }
}

#[test]
fn a_few_redirects_are_followed() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: b?c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let there = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes";
    let server = answers(&[moved, moved, moved, moved, moved, there]);
    assert_eq!(fetch(&client(limits()), &format!("http://{server}/a/")), Ok("bytes".into()));
    let server = answers(&[moved; 6]);
    assert!(fault(&client(limits()), &server).contains("redirected more than 5 times"));
    for nowhere in ["", "Location: ../../secret\r\n", "Location: ftp://me:secret@example.org/\r\n"] {
        let answer = format!("HTTP/1.1 302 Found\r\n{nowhere}Content-Length: 0\r\n\r\n");
        let told = fault(&client(limits()), &answers(&[&answer]));
        assert!(["nowhere", "answers 302"].iter().any(|word| told.contains(word)), "{told}");
    }
}

#[test]
fn what_is_not_there_as_a_whole() {
    for (answer, told) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            "the server answers 404 Not Found; hint: is the URL right?",
        ),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answers 403 Forbidden; hint: no password is sent"),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "503 Service Unavailable; hint: try again later",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "the server answers 204 No Content"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbytes",
            "it ends too early, after 5 of 100 bytes; hint: try again",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbytes", "it ends too early, after 5 bytes"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "has 1001 bytes, at most 1000 are allowed"),
        ("", "it ends too early"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "the answer is none of HTTP"),
    ] {
        let fault = fault(&client(limits()), &answers(&[answer]));
        assert!(fault.contains(told), "{answer}: {fault}");
    }
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_001));
    assert!(fault(&client(limits()), &answers(&[&long])).contains("has more bytes, at most 1000 are allowed"));
}

#[test]
fn nobody_is_there() {
    // Nobody else gets this port while the socket is bound.
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = bound.local_addr().unwrap().to_string();
    drop(bound);
    assert!(fault(&client(limits()), &addr).contains("its server refuses the connection; hint: is it up"));
    let told = fault(&client(limits()), "no-such-host.invalid");
    assert!(told.contains("its host is not found") || told.contains("no connection within"), "{told}");
}

#[test]
fn one_that_falls_silent_and_one_that_takes_for_ever() {
    let silent = |stream: TcpStream, begun: &str| {
        (&stream).write_all(begun.as_bytes()).unwrap();
        // Until the client is gone.
        let _ = io::copy(&mut &stream, &mut io::sink());
    };
    let idle = Limits { idle: Duration::from_millis(100), ..limits() };
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbytes"] {
        let told = fault(&client(idle), &server(silent, vec![begun]));
        assert!(told.contains("nothing came for 0 seconds"), "{told}");
    }
    let drip = |mut stream: TcpStream, _| {
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let mut bytes = head.iter().chain(std::iter::repeat(&b'x'));
        while stream.write_all(&[*bytes.next().unwrap()]).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    };
    let total = Limits { bytes: u64::MAX, total: Duration::from_millis(300), ..limits() };
    let told = fault(&client(total), &server(drip, vec![()]));
    assert!(told.contains("not there within 0 minutes"), "{told}");
}

/// A server with a certificate of its own making, and that certificate.
fn secured(answer: String) -> (String, Certificate<'static>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let root = Certificate::from_der(made.cert.der()).to_owned();
    let (chain, key) = (vec![made.cert.der().clone()], PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap());
    let serve = move |stream: TcpStream, (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream);
        read_head(&mut stream);
        let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
    };
    (server(serve, vec![(chain, key)]), root)
}

#[test]
fn only_whom_the_machine_trusts_is_believed() {
    let there = || "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes".to_owned();
    let (server, root) = secured(there());
    let trusting = Client::trusting(vec![root], &Env::new(), limits()).unwrap();
    assert_eq!(fetch(&trusting, &format!("https://{server}/a")), Ok("bytes".into()));

    let (server, _) = secured(there());
    let failure = fetch(&client(limits()), &format!("https://{server}/a?key=secret")).unwrap_err();
    assert!(
        failure.message.contains(&format!("cannot fetch `https://{server}/a?…`: invalid peer certificate")),
        "{failure}"
    );
    assert!(failure.hint.unwrap().contains("SSL_CERT_FILE"));

    let server = answers(&["HTTP/1.1 200 OK\r\n\r\nbytes"]);
    let failure = fetch(&client(limits()), &format!("https://{server}/a")).unwrap_err();
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("port")), "{failure:?}");
}

#[test]
fn what_is_secured_does_not_lead_to_what_is_not() {
    let open = answers(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes"]);
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: http://{open}/key/secret\r\nContent-Length: 0\r\n\r\n");
    let (server, root) = secured(moved);
    let trusting = Client::trusting(vec![root], &Env::new(), limits()).unwrap();
    let failure = fetch(&trusting, &format!("https://{server}/a")).unwrap_err();
    assert!(failure.message.contains("redirected to a URL without TLS") && failure.hint.is_some(), "{failure}");
    assert!(!failure.message.contains("secret"));
}

#[test]
fn proxies_are_those_of_the_environment() {
    let through = |env: &[(&str, String)]| {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Client::trusting(Vec::new(), &env, limits())
    };
    let refusing = || answers(&["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let client = through(&[(name, format!("http://me:secret@{}", refusing()))]).unwrap();
        let told = fault(&client, "example.org");
        assert!(told.contains("refused by the proxy") && told.contains("403"), "{told}");
    }
    let server = answers(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes"]);
    let direct = [("HTTP_PROXY", format!("http://{}", refusing())), ("NO_PROXY", "example.org, 127.0.0.1".into())];
    assert_eq!(fetch(&through(&direct).unwrap(), &format!("http://{server}/a")), Ok("bytes".into()));
    for bad in ["socks5://me:secret@example.org", "http://me:secret@"] {
        let failure = through(&[("HTTPS_PROXY", bad.into())]).err().unwrap();
        assert!(
            failure.message.contains("HTTPS_PROXY names no proxy") && !failure.message.contains("secret"),
            "{failure}"
        );
    }
}
