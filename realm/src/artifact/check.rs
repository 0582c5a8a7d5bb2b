//! One reading of a file: its digests, and whether agents can run it. A fault is told here, in the operator's words,
//! rather than by every node after the bytes have travelled.

use super::Refusal;
use shared::host;
use shared::{Artifact, ChunkList, Hasher};
use std::collections::BTreeSet;
use std::io::{self, Read};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::Types;
use wasmparser::{
    Chunk, ComponentTypeRef, Encoding, FuncValidatorAllocations, Parser, Payload, TypeBounds, ValidPayload, Validator,
    WasmFeatures,
};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// A file that agents can run.
#[derive(Debug)]
pub struct Checked {
    /// What the intent pins.
    pub artifact: Artifact,
    /// The digests of its chunks.
    pub chunks: ChunkList,
}

/// Reads to the end. The outer result is about reading, the inner one about what was read.
///
/// # Errors
/// What the system says.
pub fn check(reader: &mut impl Read) -> io::Result<Result<Checked, Refusal>> {
    let mut hasher = Hasher::default();
    let mut scan = Scan::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut start = 0;
    loop {
        match scan.step(&buffer[start..]) {
            Step::Consumed(bytes) => start += bytes,
            Step::End if buffer.len() > start => return Ok(Err(Refusal::Invalid("bytes follow its end".into()))),
            // Only a look past the end tells that it is one.
            Step::End if scan.at_eof => {
                let (artifact, chunks) = hasher.finish();
                return Ok(scan.names.verdict().map(|()| Checked { artifact, chunks }));
            }
            Step::Refused(refusal) => return Ok(Err(scan.names.first().unwrap_or(refusal))),
            Step::More | Step::End => {
                buffer.drain(..start);
                start = 0;
                let before = buffer.len();
                let read = reader.by_ref().take(READ_BYTES as u64).read_to_end(&mut buffer)?;
                hasher.update(&buffer[before..]);
                scan.at_eof = read == 0;
            }
        }
    }
}

enum Step {
    More,
    Consumed(usize),
    End,
    Refused(Refusal),
}

/// Names of the outermost component.
#[derive(Default)]
struct Names {
    wasi_03: BTreeSet<String>,
    missing: BTreeSet<String>,
    exports: BTreeSet<String>,
    /// Whether one of the exports is what an agent calls.
    has_entry: bool,
}

impl Names {
    /// WASI 0.3 explains every other fault of a file, so it is told first.
    fn first(&self) -> Option<Refusal> {
        (!self.wasi_03.is_empty()).then(|| Refusal::Wasi03(self.wasi_03.iter().cloned().collect()))
    }

    fn verdict(&self) -> Result<(), Refusal> {
        if let Some(refusal) = self.first() {
            return Err(refusal);
        }
        let all = |names: &BTreeSet<String>| names.iter().cloned().collect();
        match (self.missing.is_empty(), self.has_entry) {
            (true, true) => Ok(()),
            (true, false) => Err(Refusal::NoEntry(all(&self.exports))),
            (false, _) => Err(Refusal::Imports(all(&self.missing))),
        }
    }

    fn see_import(&mut self, name: &str, kind: &ComponentTypeRef) {
        let offered = match kind {
            ComponentTypeRef::Instance(_) => host::offers(name),
            // Nothing has to be there for a name that is given to a type.
            ComponentTypeRef::Type(TypeBounds::Eq(_)) => true,
            _ => false,
        };
        if host::is_wasi_03(name) {
            self.wasi_03.insert(name.to_owned());
        } else if !offered {
            self.missing.insert(name.to_owned());
        }
    }

    /// Takes out instances that hold nothing but names of types: nothing has to be there for them. And looks for what an agent
    /// calls, as it does.
    fn settle(&mut self, types: &Types) {
        self.has_entry =
            self.exports.iter().any(|name| match types.as_ref().component_item_for_export(name).map(|item| item.ty) {
                // The type that an instance is given may be narrower than what it has, which is what an agent looks at.
                Some(ComponentEntityType::Instance(_)) => host::is_command(name),
                Some(ComponentEntityType::Func(id)) => name == "run" && types[id].params.is_empty(),
                _ => false,
            });
        self.missing.retain(|name| match types.as_ref().component_item_for_import(name).map(|item| item.ty) {
            Some(ComponentEntityType::Instance(id)) => !types[id].exports.values().all(|item| {
                matches!(item.ty, ComponentEntityType::Type { referenced, .. } if !matches!(referenced, ComponentAnyTypeId::Resource(_)))
            }),
            _ => true,
        });
    }
}

struct Scan {
    parser: Parser,
    outer: Vec<Parser>,
    validator: Validator,
    allocations: FuncValidatorAllocations,
    /// Whether the file begins as a core module; nothing else is looked at then but its imports.
    core: bool,
    begun: bool,
    ended: bool,
    at_eof: bool,
    names: Names,
}

impl Scan {
    fn new() -> Scan {
        // What an agent's own version makes of a proposal is for the agent to say.
        let features = WasmFeatures::all();
        let mut parser = Parser::new(0);
        parser.set_features(features);
        Scan {
            parser,
            outer: Vec::new(),
            validator: Validator::new_with_features(features),
            allocations: FuncValidatorAllocations::default(),
            core: false,
            begun: false,
            ended: false,
            at_eof: false,
            names: Names::default(),
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Step {
        if self.ended {
            return Step::End;
        }
        if !self.begun {
            match head(bytes, self.at_eof) {
                Ok(true) => self.begun = true,
                Ok(false) => return Step::More,
                Err(refusal) => return Step::Refused(refusal),
            }
        }
        match self.parser.parse(bytes, self.at_eof) {
            Ok(Chunk::NeedMoreData(_)) => Step::More,
            Ok(Chunk::Parsed { consumed, payload }) => match self.take(&payload, &bytes[..consumed]) {
                Ok(()) => Step::Consumed(consumed),
                Err(refusal) => Step::Refused(refusal),
            },
            Err(_) if self.core => Step::Refused(Refusal::CoreModule { preview1: false }),
            Err(error) if error.message().contains("unexpected end") && self.at_eof => {
                Step::Refused(Refusal::Truncated)
            }
            Err(error) => Step::Refused(Refusal::Invalid(error.to_string())),
        }
    }

    fn take(&mut self, payload: &Payload<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        const PREVIEW1: &[u8] = b"wasi_snapshot_preview1";
        let is_outermost = self.outer.is_empty();
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if is_outermost => self.core = true,
            Payload::ImportSection(_) if self.core => {
                let preview1 = bytes.windows(PREVIEW1.len()).any(|window| window == PREVIEW1);
                return Err(Refusal::CoreModule { preview1 });
            }
            Payload::CodeSectionStart { .. } | Payload::End(_) if self.core => {
                return Err(Refusal::CoreModule { preview1: false });
            }
            Payload::ComponentImportSection(section) if is_outermost => {
                for import in section.clone().into_iter().flatten() {
                    self.names.see_import(import.name.name, &import.ty);
                }
            }
            Payload::ComponentExportSection(section) if is_outermost => {
                for name in section.clone().into_iter().flatten().map(|export| export.name.name) {
                    let names = if host::is_wasi_03(name) { &mut self.names.wasi_03 } else { &mut self.names.exports };
                    names.insert(name.to_owned());
                }
            }
            _ => {}
        }
        if self.core { Ok(()) } else { self.validate(payload) }
    }

    fn validate(&mut self, payload: &Payload<'_>) -> Result<(), Refusal> {
        let invalid = |error: wasmparser::BinaryReaderError| Refusal::Invalid(error.to_string());
        match self.validator.payload(payload).map_err(invalid)? {
            ValidPayload::Ok => {}
            ValidPayload::Parser(inner) => self.outer.push(std::mem::replace(&mut self.parser, inner)),
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(std::mem::take(&mut self.allocations));
                function.validate(&body).map_err(invalid)?;
                self.allocations = function.into_allocations();
            }
            ValidPayload::End(types) => match self.outer.pop() {
                Some(outer) => self.parser = outer,
                None => {
                    self.names.settle(&types);
                    self.ended = true;
                }
            },
        }
        Ok(())
    }
}

/// Whether the first eight bytes are there and are those of WebAssembly; `false` asks for more.
fn head(bytes: &[u8], at_eof: bool) -> Result<bool, Refusal> {
    const MAGIC: &[u8] = b"\0asm";
    let known = bytes.len().min(MAGIC.len());
    match bytes {
        [] if at_eof => Err(Refusal::Empty),
        _ if bytes[..known] != MAGIC[..known] => Err(Refusal::NotWasm),
        _ if bytes.len() >= 8 => Ok(true),
        _ if at_eof => Err(Refusal::Truncated),
        _ => Ok(false),
    }
}
