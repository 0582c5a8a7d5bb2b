//! What a guest can import: WASI 0.2 as this agent offers it, and stubs that trap for interfaces of WASI that a guest
//! names but is not given. Anything else is refused when the component is compiled.

use super::guest::{Guest, OwnOutput};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, Result, bail};
use wasmtime_wasi::p2;
use wasmtime_wasi::p2::bindings::{LinkOptions, cli};

/// Interfaces that are offered, without their version, which is 0.2. Files and sockets are among them because most
/// guests import them; there is no directory to open and every address is denied.
const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Where an import comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The agent offers it.
    Offered,
    /// It is WASI, and stubbed.
    Stub,
    /// It only names types; nothing has to be there.
    Types,
    /// Nobody.
    Missing,
}

/// A linker with all that is offered.
pub(super) fn host(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    // Later releases of 0.2 have this function, and guests built for them import it.
    let mut options = LinkOptions::default();
    options.network_error_code(true);
    p2::add_to_linker_with_options_async(&mut linker, &options)?;
    linker.allow_shadowing(true);
    cli::stdout::add_to_linker::<Guest, OwnOutput>(&mut linker, |guest| guest)?;
    cli::stderr::add_to_linker::<Guest, OwnOutput>(&mut linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Names what `component` imports and nobody offers, sorted.
pub(super) fn missing(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let ty = component.component_type();
    let imports = ty.imports(engine).filter(|(name, item)| source(engine, name, &item.ty) == Source::Missing);
    let mut names: Vec<String> = imports.map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

/// A linker for `component`: `host`, or a copy with the stubs that this component needs.
pub(super) fn with_stubs(host: &Linker<Guest>, component: &Component) -> Result<Linker<Guest>> {
    let mut linker = host.clone();
    let engine = component.engine();
    for (name, item) in component.component_type().imports(engine) {
        if let (Source::Stub, ComponentItem::ComponentInstance(instance)) = (source(engine, name, &item.ty), &item.ty) {
            let mut into = linker.instance(name)?;
            for (export, item) in instance.exports(engine) {
                stub(&mut into, name, export, &item.ty)?;
            }
        }
    }
    Ok(linker)
}

fn stub(into: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str, item: &ComponentItem) -> Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            let denied = format!("`{interface}` is not given to this component (it called `{name}`)");
            into.func_new(name, move |_, _, _, _| bail!("{denied}"))
        }
        ComponentItem::Resource(_) => into.resource(name, ResourceType::host::<()>(), |_, _| Ok(())),
        _ => Ok(()),
    }
}

fn source(engine: &Engine, name: &str, item: &ComponentItem) -> Source {
    let ComponentItem::ComponentInstance(instance) = item else {
        return if matches!(item, ComponentItem::Type(_)) { Source::Types } else { Source::Missing };
    };
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    // A draft such as `0.2.0-rc-2023-12-05` has other functions than the release, under the same names.
    let released = version.starts_with("0.2.") && !version.contains('-');
    match OFFERED.contains(&interface) {
        true if released => Source::Offered,
        false if interface.starts_with("wasi:") && !version.starts_with("0.3") => Source::Stub,
        _ if instance.exports(engine).all(|(_, export)| matches!(export.ty, ComponentItem::Type(_))) => Source::Types,
        _ => Source::Missing,
    }
}
