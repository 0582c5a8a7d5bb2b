//! tiny_http behind the front, and the only place that names its server: it listens on a Unix socket that nobody
//! else can reach, and its workers ask the loop.

use super::limits::{MAX_SOCKET_PATH, RETRY_AFTER, WORKERS};
use super::route::{REFUSED_TYPE, Refused, route};
use super::{Answer, Body, HttpKind, HttpRequest, ask};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tiny_http::{Header, Request, Response, Server};

/// The server and its workers; ends with them when it is dropped.
pub(super) struct Back {
    server: Arc<Server>,
    state: Arc<State>,
    workers: Vec<JoinHandle<()>>,
    /// Closed when we end it: a worker that waits for the loop waits no longer.
    stop: Sender<()>,
}

struct State {
    stopped: Receiver<()>,
    /// It ended by itself: tiny_http gives up for good when accepting fails once.
    broken: AtomicBool,
}

impl Back {
    /// Starts a server on the socket `path`; one that was left over there is replaced.
    pub(super) fn start(path: &Path, requests: &Sender<HttpRequest>) -> io::Result<Back> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let server = Arc::new(Server::from_listener(listener, None).map_err(io::Error::other)?);
        let (stop, stopped) = bounded(1);
        let state = Arc::new(State { stopped, broken: AtomicBool::new(false) });
        let mut back = Back { server, state, workers: Vec::new(), stop };
        for number in 0..WORKERS {
            let (server, state, requests) = (Arc::clone(&back.server), Arc::clone(&back.state), requests.clone());
            let name = format!("http-{number}");
            let worker = std::thread::Builder::new().name(name).spawn(move || work(&server, &state, &requests))?;
            back.workers.push(worker);
        }
        Ok(back)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state.broken.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_broken(&self) {
        self.state.broken.store(true, Ordering::Relaxed);
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        self.stop.close();
        for _ in &self.workers {
            // Each call wakes one of them; a busy one finds it when it is done.
            self.server.unblock();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        // The server, dropped after this, ends its own threads and removes the socket.
    }
}

fn work(server: &Server, state: &State, requests: &Sender<HttpRequest>) {
    while !state.stopped.is_closed() {
        match server.recv() {
            Ok(request) => serve(request, state, requests),
            Err(_) if state.stopped.is_closed() => return,
            Err(_) => state.broken.store(true, Ordering::Relaxed),
        }
    }
}

fn serve(request: Request, state: &State, requests: &Sender<HttpRequest>) {
    let answered =
        route(request.method().as_str(), request.url()).and_then(|kind| ask_unless_stopped(kind, state, requests));
    let (status, content_type, body) =
        answered.unwrap_or_else(|(status, text)| (status, REFUSED_TYPE, text.into_bytes()));
    let headers = [
        ("Content-Type", content_type),
        // A guest's output must not be taken for a page.
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ];
    let mut response = Response::from_data(body)
        .with_status_code(status)
        // The length is known: no chunks.
        .with_chunked_threshold(usize::MAX);
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    let more = match status {
        405 => Some(("Allow", "GET, HEAD".to_owned())),
        503 => Some(("Retry-After", RETRY_AFTER.as_secs().to_string())),
        _ => None,
    };
    if let Some((name, value)) = more
        && let Ok(header) = Header::from_bytes(name, value)
    {
        response.add_header(header);
    }
    // The client may be gone.
    let _ = request.respond(response);
}

type Answered = (u16, &'static str, Vec<u8>);

fn ask_unless_stopped(kind: HttpKind, state: &State, requests: &Sender<HttpRequest>) -> Result<Answered, Refused> {
    let stopped = async {
        // Nothing is ever sent: this ends when the server is dropped.
        let _ = state.stopped.recv().await;
        None
    };
    match smol::block_on(or(ask(kind, requests), stopped)) {
        Some(Answer { status, content_type, body: Body::Whole(body) }) => Ok((status, content_type, body)),
        // What has no end is not asked for here.
        Some(Answer { body: Body::Pieces(_), .. }) | None => Err((503, "the agent does not answer\n".into())),
    }
}

/// Where the socket is, and a directory that has to be removed afterwards.
pub(super) struct Place {
    pub(super) path: PathBuf,
    private: Option<PathBuf>,
}

impl Place {
    /// In `dir`; when its path is too long for a socket, in a private directory among the temporary ones.
    pub(super) fn choose(dir: &Path) -> io::Result<Place> {
        let path = dir.join("http.sock");
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Place { path, private: None });
        }
        let random = RandomState::new().build_hasher().finish();
        let private = std::env::temp_dir().join(format!("realm-http-{random:016x}"));
        // Fails when it is there: somebody else may have made it.
        DirBuilder::new().mode(0o700).create(&private)?;
        Ok(Place { path: private.join("sock"), private: Some(private) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(private) = &self.private {
            // Empty by then; what cannot be removed is harmless.
            let _ = fs::remove_dir(private);
        }
    }
}
