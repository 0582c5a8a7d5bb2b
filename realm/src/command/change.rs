//! What every change of a component begins with: what is known of it, and a signed intent above all that are known.

use super::connect::Views;
use super::tell::DECLARED_HINT;
use crate::exit::Failure;
use crate::rollout::Known;
use crate::session::Session;
use crate::world::unix_ms;
use shared::{Audience, Body, ComponentName, Content, IntentId, NodeReport, OwnerKey, RealmId, Trust};

/// A signed intent.
pub(super) struct Sealed {
    pub(super) intent: IntentId,
    pub(super) seq: u64,
    pub(super) bytes: Vec<u8>,
}

/// The nodes of the realm, and which of them have the component `name`.
pub(super) fn members(name: &ComponentName, views: &Views) -> impl Iterator<Item = Known> {
    views.values().map(move |(report, alive)| Known {
        node: report.node,
        tags: report.tags.clone(),
        platform: report.platform.clone(),
        alive: *alive && !report.leaving,
        has_name: report.may_have(name),
    })
}

/// The highest sequence that anybody we know has accepted.
pub(super) fn highest_seq(session: &Session, views: &Views) -> u64 {
    let told = session.peers().values().filter(|peer| peer.admitted).map(|peer| peer.hello.highest_seq);
    told.chain(views.values().map(|(report, _)| report.summary.highest_seq)).max().unwrap_or(0)
}

/// Whether the manifest declares `name`, as far as a node says so.
pub(super) fn is_declared(name: &ComponentName, views: &Views) -> bool {
    let declares =
        |(report, _): &(NodeReport, bool)| report.components.iter().any(|it| it.name == *name && it.declared);
    views.values().any(declares)
}

/// Keeps what is declared from being changed by hand.
///
/// # Errors
/// When the manifest declares `name` on a node that is known: nodes would refuse it.
pub(super) fn check_undeclared(name: &ComponentName, views: &Views) -> Result<(), Failure> {
    if is_declared(name, views) {
        return Err(Failure::new(format!("the manifest declares `{name}`; nothing was sent")).hint(DECLARED_HINT));
    }
    Ok(())
}

/// Signs `payload` with a sequence above `highest`.
///
/// # Errors
/// When a node would refuse it for what it says.
pub(super) fn seal<P: Content>(
    key: &OwnerKey,
    audience: Audience,
    note: String,
    payload: P,
    highest: u64,
) -> Result<Sealed, Failure> {
    let now = unix_ms();
    // A clock that is behind must not make this intent older than the last one.
    let seq = now.max(highest.saturating_add(1));
    let realm = RealmId::of_owner(&key.id());
    let body = Body { realm, seq, issued_at: now, not_after: None, audience, note, payload };
    let refused = |refused: shared::Refused| Failure::new(format!("this cannot be signed: {refused}"));
    let bytes = shared::seal(key, &body).map_err(refused)?;
    // Opened as a node will open it: what it would refuse is never sent.
    let intent = shared::open(&bytes, &Trust::Owner(key.id())).map_err(refused)?.id();
    Ok(Sealed { intent, seq, bytes })
}
