//! Why a file is not run here: what is wrong in the words of who pushed it, and what to try.

use super::weight;
use wasmparser::{Parser, Payload};

/// How every binary begins: `\0asm`.
const MAGIC: &[u8] = b"\0asm";

/// What follows in a component and in a core module.
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];

/// The longest text that is passed on, in bytes: validation errors can quote the file.
const MAX_REASON_BYTES: usize = 512;

/// A refusal and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong; one line, lower case.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// Refuses what can be told from the file's outside: no component at all, one of WASI 0.3, whose asynchronous types would
/// fail validation in riddles, or one whose instances no account of memory would see.
pub(super) fn before_compiling(wasm: &[u8]) -> Result<(), Refusal> {
    if wasm.is_empty() {
        return Err(refusal("the file is empty", "build the component again"));
    }
    let kind = match wasm.strip_prefix(MAGIC) {
        Some(rest) => rest.get(..4),
        None => return Err(refusal("the file is not WebAssembly", "give the `.wasm` file that your build made")),
    };
    match kind {
        Some(COMPONENT_VERSION) => {}
        Some(MODULE_VERSION) => {
            let hint = "make it one: `wasm-tools component new module.wasm -o component.wasm`";
            return Err(refusal("the file is a core module, not a component", hint));
        }
        Some(_) => return Err(refusal("the file is of a version of WebAssembly that is not known here", REBUILD)),
        None => return Err(refusal("the file ends after its first bytes", "build or copy it again")),
    }
    if let Some(name) = wasi_0_3(wasm) {
        return Err(refusal(&format!("it uses `{name}`; WASI 0.3 is not offered yet"), REBUILD));
    }
    if weight::weigh(wasm) > weight::MAX_BYTES {
        let reason = format!("its instances take more than {} MiB beside their memory", weight::MAX_BYTES >> 20);
        return Err(refusal(&reason, "build it with fewer globals, exports and instances of its modules"));
    }
    Ok(())
}

const REBUILD: &str = "build it for WASI 0.2, in Rust with `--target wasm32-wasip2`";

/// The first import or export of WASI 0.3. A file that cannot be read has none: the compiler says what is wrong with it.
fn wasi_0_3(wasm: &[u8]) -> Option<String> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let found = match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                None
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                None
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                imports.into_iter().flatten().map(|import| import.name.name).find(|name| is_wasi_0_3(name))
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                exports.into_iter().flatten().map(|export| export.name.name).find(|name| is_wasi_0_3(name))
            }
            _ => None,
        };
        if found.is_some() {
            return found.map(str::to_owned);
        }
    }
    None
}

fn is_wasi_0_3(name: &str) -> bool {
    name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
}

impl Refusal {
    pub(super) fn too_large(most: u64) -> Refusal {
        let reason = format!("the component is larger than {} MiB", most / 1024 / 1024);
        refusal(&reason, "strip it: `wasm-tools strip component.wasm -o small.wasm`")
    }

    pub(super) fn code_too_large(most: u64) -> Refusal {
        let reason = format!("its machine code is larger than {} MiB", most / 1024 / 1024);
        refusal(&reason, "build it for size, in Rust with `opt-level = \"s\"`, or split it")
    }

    pub(super) fn invalid(error: &wasmtime::Error) -> Refusal {
        let reason = format!("the component is not valid: {error:#}");
        refusal(&reason, "`wasm-tools validate component.wasm` says more; a damaged file has to be copied again")
    }

    pub(super) fn missing_import(name: &str, others: usize) -> Refusal {
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        let reason = format!("it imports `{name}`{more}, which this agent does not offer");
        refusal(
            &reason,
            "plug in a component that exports it: `wac plug component.wasm --plug other.wasm -o whole.wasm`",
        )
    }

    pub(super) fn mismatch(error: &wasmtime::Error) -> Refusal {
        let reason = format!("it imports what this agent offers in another form: {error:#}");
        refusal(&reason, "build it with a toolchain for a release of WASI 0.2")
    }
}

fn refusal(reason: &str, hint: &str) -> Refusal {
    let mut reason = reason.replace(char::is_control, " ");
    if reason.len() > MAX_REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        reason.push('…');
    }
    Refusal { reason, hint: hint.to_owned() }
}
