//! Why agents cannot run a file, in the operator's words.

use crate::exit::Failure;

/// Why agents cannot run a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It has no bytes.
    Empty,
    /// It does not begin as WebAssembly does.
    NotWasm,
    /// It ends too early.
    Truncated,
    /// It is a core module, perhaps one that was built for WASI preview 1.
    CoreModule {
        /// Whether it imports `wasi_snapshot_preview1`.
        preview1: bool,
    },
    /// It is not valid, and why.
    Invalid(String),
    /// It needs WASI 0.3: what it imports or exports of it.
    Wasi03(Vec<String>),
    /// It imports what no agent offers.
    Imports(Vec<String>),
    /// It has nothing that an agent would call: what it exports instead.
    NoEntry(Vec<String>),
}

impl Refusal {
    /// As the user sees it.
    #[must_use]
    pub fn failure(&self, shown: &str) -> Failure {
        let lines = |names: &[String]| names.iter().map(|name| format!("\n  {name}")).collect::<String>();
        match self {
            Refusal::Empty => Failure::new(format!("`{shown}` is empty")).hint("was the build cut short?"),
            Refusal::NotWasm => Failure::new(format!("`{shown}` is not WebAssembly"))
                .hint("a component is built with `cargo build --target wasm32-wasip2`, for instance; text needs the ending `.wat`"),
            Refusal::Truncated => {
                Failure::new(format!("`{shown}` ends in the middle")).hint("copy or build it anew: bytes are missing at its end")
            }
            Refusal::CoreModule { preview1 } => {
                let adapt = if *preview1 { " --adapt wasi_snapshot_preview1=wasi_snapshot_preview1.command.wasm" } else { "" };
                Failure::new(format!("`{shown}` is a core module, and agents run components"))
                    .hint(format!("`wasm-tools component new {shown}{adapt} -o component.wasm` makes one of it"))
            }
            Refusal::Invalid(why) => Failure::new(format!("`{shown}` is not a valid component: {why}"))
                .hint("`wasm-tools validate --features all` says the same of the file"),
            Refusal::Wasi03(names) => Failure::new(format!("`{shown}` needs WASI 0.3:{}", lines(names)))
                .hint("agents host WASI 0.2: build it for that, with the target `wasm32-wasip2`, for instance"),
            Refusal::Imports(names) => Failure::new(format!("`{shown}` imports what agents do not offer:{}", lines(names)))
                .hint("agents offer WASI 0.2: cli, clocks, filesystem, http, io, random and sockets; `wasm-tools compose` can supply other imports"),
            Refusal::NoEntry(names) => {
                let instead = if names.is_empty() { " nothing at all".to_owned() } else { format!(":{}", lines(names)) };
                Failure::new(format!("`{shown}` has nothing that agents would call; it exports{instead}"))
                    .hint("agents call `wasi:cli/run` of WASI 0.2, which a program with a `main` has, or else a function `run` without parameters")
            }
        }
    }
}
