//! What instantiating a component takes of the host beside memories and tables: the fixed parts of its core instances, which
//! no account of Wasmtime counts. A file of some KiB can ask for them hundreds of times over.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, ElementItems,
    Instance, Parser, Payload, Result,
};

/// The most that one instance of a component may take this way, in bytes: forty times what a Python component with its
/// libraries does, and nothing that ends a runner. Without it, a file of 250 KB took 400 MB under a cap of 1 MiB.
pub(super) const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What a global takes in an instance of its module, in bytes.
const GLOBAL_BYTES: u64 = 16;

/// What an import takes, or a function that can be referred to.
const ITEM_BYTES: u64 = 32;

/// What each core instance takes at least.
const INSTANCE_BYTES: u64 = 512;

/// A module or a component whose end has not been seen.
#[derive(Default)]
struct Open {
    /// What one instance of it takes.
    bytes: u64,
    functions: u64,
    elements: u64,
    /// What one instance of each module and component takes, in the order of their indices.
    modules: Vec<u64>,
    components: Vec<u64>,
}

/// The weights of a file; what comes from somewhere else in it counts as the heaviest that was seen.
#[derive(Default)]
struct Scale {
    open: Vec<Open>,
    is_module: Vec<bool>,
    heaviest_module: u64,
    heaviest_component: u64,
}

/// What an instance of the component in `wasm` takes, in bytes; more than that, and never less. A file that cannot be
/// read weighs nothing: the compiler says what is wrong with it.
pub(super) fn weigh(wasm: &[u8]) -> u64 {
    let mut scale = Scale { open: vec![Open::default()], is_module: vec![false], ..Scale::default() };
    let mut weight = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.and_then(|payload| scale.add(payload)) {
            Ok(Some(root)) => weight = root,
            Ok(None) => {}
            Err(_) => return 0,
        }
    }
    weight
}

impl Scale {
    /// Gives the weight of the whole at its end.
    fn add(&mut self, payload: Payload<'_>) -> Result<Option<u64>> {
        match payload {
            Payload::ModuleSection { .. } => self.begin(true),
            Payload::ComponentSection { .. } => self.begin(false),
            Payload::End(_) => return Ok(self.end()),
            payload => {
                let Some(open) = self.open.last_mut() else { return Ok(None) };
                open.module_part(&payload)?;
                open.component_part(&payload, self.heaviest_module, self.heaviest_component)?;
            }
        }
        Ok(None)
    }

    fn begin(&mut self, is_module: bool) {
        self.open.push(Open { bytes: if is_module { INSTANCE_BYTES } else { 0 }, ..Open::default() });
        self.is_module.push(is_module);
    }

    fn end(&mut self) -> Option<u64> {
        let (open, is_module) = (self.open.pop()?, self.is_module.pop()?);
        let referred = open.functions.min(open.elements).saturating_mul(ITEM_BYTES);
        let bytes = open.bytes.saturating_add(referred);
        let Some(parent) = self.open.last_mut() else { return Some(bytes) };
        if is_module {
            parent.modules.push(bytes);
            self.heaviest_module = self.heaviest_module.max(bytes);
        } else {
            parent.components.push(bytes);
            self.heaviest_component = self.heaviest_component.max(bytes);
        }
        None
    }
}

impl Open {
    fn takes(&mut self, count: u64, each: u64) {
        self.bytes = self.bytes.saturating_add(count.saturating_mul(each));
    }

    fn module_part(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::GlobalSection(globals) => self.takes(globals.count().into(), GLOBAL_BYTES),
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    import?;
                    self.takes(1, ITEM_BYTES);
                }
            }
            Payload::ExportSection(exports) => self.takes(exports.count().into(), ITEM_BYTES),
            Payload::FunctionSection(functions) => self.functions = functions.count().into(),
            Payload::ElementSection(segments) => {
                for segment in segments.clone() {
                    self.elements += match segment?.items {
                        ElementItems::Functions(items) => u64::from(items.count()),
                        ElementItems::Expressions(_, items) => u64::from(items.count()),
                    };
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn component_part(&mut self, payload: &Payload<'_>, module: u64, component: u64) -> Result<()> {
        let mut from_elsewhere = |is_module: bool, is_component: bool| {
            self.modules.extend(is_module.then_some(module));
            self.components.extend(is_component.then_some(component));
        };
        match payload {
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => from_elsewhere(
                            kind == ComponentExternalKind::Module,
                            kind == ComponentExternalKind::Component,
                        ),
                        ComponentAlias::Outer { kind, .. } => from_elsewhere(
                            kind == ComponentOuterAliasKind::CoreModule,
                            kind == ComponentOuterAliasKind::Component,
                        ),
                        ComponentAlias::CoreInstanceExport { .. } => {}
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    let ty = import?.ty;
                    from_elsewhere(
                        matches!(ty, ComponentTypeRef::Module(_)),
                        matches!(ty, ComponentTypeRef::Component(_)),
                    );
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let kind = export?.kind;
                    from_elsewhere(kind == ComponentExternalKind::Module, kind == ComponentExternalKind::Component);
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.takes(1, of(&self.modules, module_index, module));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.takes(1, of(&self.components, component_index, component));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn of(weights: &[u64], index: u32, otherwise: u64) -> u64 {
    usize::try_from(index).ok().and_then(|index| weights.get(index)).copied().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn weight(wat: &str) -> u64 {
        weigh(&wat::parse_str(wat).unwrap())
    }

    #[test]
    fn every_instance_counts_however_it_is_made() {
        let module = format!("(core module $m {})", "(global i32 (i32.const 0))".repeat(100));
        let one = INSTANCE_BYTES + 100 * GLOBAL_BYTES;
        assert_eq!(weight(&format!("(component {module})")), 0, "defined and never instantiated");
        let twice = "(core instance (instantiate $m)) (core instance (instantiate $m))";
        assert_eq!(weight(&format!("(component {module} {twice})")), 2 * one);
        let three = "(instance (instantiate $c))".repeat(3);
        let nested = format!("(component (component $c {module} {twice}) {three})");
        assert_eq!(weight(&nested), 6 * one, "in a component that is instantiated itself");
        let outer = format!("(component {module} (component $c (core instance (instantiate $m))) {three})");
        assert_eq!(weight(&outer), 3 * one, "of a module from outside");
        let mut bomb = format!("(component $c0 {module} {twice})");
        for level in 1..=80 {
            bomb = format!(
                "(component $c{level} {bomb} {})",
                format!("(instance (instantiate $c{}))", level - 1).repeat(2)
            );
        }
        assert!(weight(&format!("(component {bomb} (instance (instantiate $c80)))")) > MAX_BYTES);
    }

    #[test]
    fn imports_exports_and_functions_in_tables_count() {
        let module = r#"(core module $m (import "a" "f" (func)) (func $g (export "g")) (func $h) (func $i)
            (table 9 funcref) (elem (i32.const 0) func $h $h $h $h $h $h $h $h))"#;
        let imports = r#"(core module $a (func (export "f"))) (core instance $a (instantiate $a))"#;
        let whole =
            format!(r#"(component {imports} {module} (core instance (instantiate $m (with "a" (instance $a)))))"#);
        assert_eq!(
            weight(&whole),
            2 * INSTANCE_BYTES + 6 * ITEM_BYTES,
            "two exports, an import, and three functions at the most"
        );
    }
}
