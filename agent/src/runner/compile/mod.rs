//! The compile child: wasm in, compiled code out, in a process of its own that may be killed. Compiling takes memory and
//! time in proportion to what a stranger wrote, and Wasmtime does not count that as a fault of its own.

mod limits;
mod refuse;
mod weight;

use super::engine::Flavour;
use super::linking;
use crate::ipc::{self, CompileReport};
use argh::FromArgs;
use shared::Digest;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use wasmtime::component::Component;

pub use limits::{MAX_CWASM_BYTES, MAX_WASM_BYTES};
pub use refuse::Refusal;

/// What the seal of compiled code takes beside it, at the most.
const SEAL_BYTES: u64 = 512;

/// Arguments of `realm-agent compile`.
#[derive(Debug, Clone, PartialEq, Eq, FromArgs)]
#[argh(subcommand, name = "compile")]
/// compile one component (started by the agent itself)
pub struct CompileArgs {
    /// the component
    #[argh(option)]
    pub input: PathBuf,
    /// where its compiled form goes; what is there is replaced
    #[argh(option)]
    pub output: PathBuf,
    /// count fuel
    #[argh(switch)]
    pub fuel: bool,
    /// what the component has to be
    #[argh(option)]
    pub sha256: Option<Digest>,
    /// how many bytes its compiled form may have
    #[argh(option)]
    pub room: Option<u64>,
}

/// A compiled component.
pub struct Compiled {
    /// What a runner loads.
    pub cwasm: Vec<u8>,
    /// Name of the engine configuration that it was compiled for.
    pub compat: String,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes for {}", self.cwasm.len(), self.compat)
    }
}

/// The process `realm-agent compile`. Its standard input is held open by the guard, and it ends with it; its standard
/// output gets one frame with a [`CompileReport`]. Exit code 1 is a failure of the machine.
#[must_use]
pub fn run(args: &CompileArgs) -> ExitCode {
    let made = size(&args.input).and_then(limits::confine).and_then(|()| end_with_stdin()).and_then(|()| report(args));
    let (report, code) = match made {
        Ok(report) => (report, ExitCode::SUCCESS),
        Err(error) => (CompileReport::Failed { reason: shared::files::fault(&error) }, ExitCode::FAILURE),
    };
    match ipc::write_frame(&mut io::stdout().lock(), &report) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("compile: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles `wasm`, to count fuel or not.
///
/// # Errors
/// When it is no component, or one that this agent does not run.
pub fn compile(wasm: &[u8], fuel: bool) -> Result<Compiled, Refusal> {
    refuse::before_compiling(wasm)?;
    let flavour = Flavour::new(fuel).map_err(|error| Refusal::invalid(&error))?;
    let component = Component::from_binary(&flavour.engine, wasm).map_err(|error| Refusal::invalid(&error))?;
    if let [name, others @ ..] = &linking::missing(&component)[..] {
        return Err(Refusal::missing_import(name, others.len()));
    }
    // What is left are functions that a release of WASI which is not known here may have added.
    linking::with_stubs(&flavour.linker, &component)
        .and_then(|linker| linker.instantiate_pre(&component))
        .map_err(|error| Refusal::mismatch(&error))?;
    let cwasm = component.serialize().map_err(|error| Refusal::invalid(&error))?;
    Ok(Compiled { cwasm, compat: flavour.compat })
}

fn report(args: &CompileArgs) -> io::Result<CompileReport> {
    let compiled = match read(&args.input)? {
        Some(wasm) if args.sha256.is_some_and(|meant| meant != Digest::of(&wasm)) => return Ok(CompileReport::Torn),
        Some(wasm) => compile(&wasm, args.fuel),
        None => Err(Refusal::too_large(MAX_WASM_BYTES)),
    };
    match compiled {
        Ok(compiled) => match (compiled.cwasm.len() as u64, args.room) {
            (bytes, Some(room)) if bytes.saturating_add(SEAL_BYTES) > room => {
                Ok(CompileReport::TooLarge { bytes: bytes.saturating_add(SEAL_BYTES) })
            }
            _ => place(&args.output, compiled),
        },
        Err(Refusal { reason, hint }) => Ok(CompileReport::Refused { reason, hint }),
    }
}

/// Of the file, in bytes. It is asked before anything of it is read, because the limits depend on it.
fn size(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.len())
}

/// The file, or `None` when it is too large.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_WASM_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // In one piece, with a byte to see the end by: a buffer that grows by doubling would take twice the size of the file.
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1))?;
    file.take(MAX_WASM_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_WASM_BYTES).then_some(bytes))
}

fn place(path: &Path, Compiled { cwasm, compat }: Compiled) -> io::Result<CompileReport> {
    let size = cwasm.len() as u64;
    if size > MAX_CWASM_BYTES {
        let Refusal { reason, hint } = Refusal::code_too_large(MAX_CWASM_BYTES);
        return Ok(CompileReport::Refused { reason, hint });
    }
    let mut file = File::create(path)?;
    file.write_all(&cwasm)?;
    file.sync_all()?;
    Ok(CompileReport::Ok { compat, size, sha256: *Digest::of(&cwasm).as_bytes() })
}

/// Nobody waits for the result once the guard is gone.
fn end_with_stdin() -> io::Result<()> {
    let watch = || {
        // Nothing is ever written to it, so this returns at its end or when it fails.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(1);
    };
    thread::Builder::new().name("guard".to_owned()).spawn(watch).map(drop)
}
