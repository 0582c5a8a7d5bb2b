//! Signatures in a simulation. All of a thousand nodes check what one of them has checked, and that alone would be most of the
//! time: what was opened once is remembered, to the byte, and a node signs its reports with something that is cheap.

use crate::rng::{fingerprint, mix};
use agent::control::node::{Forces, InForce, ManifestFile, PinnedFile, Signatures};
use shared::{
    IntentId, NodeId, NodeReport, Opened, RealmId, Refused, ReportRefused, Signature, SignedReport, Trust, frame,
};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// For the nodes of a simulation.
pub const SIGNATURES: Signatures = Signatures { identify, open, sign, check };

/// The largest report, as in the protocol.
const MAX_REPORT_BYTES: usize = 31 * 1024;

/// So many reports of a node are remembered: more are rarely on their way at once.
const NEWEST: usize = 8;

/// Reports of one node, as they were signed and as they read.
type Reports = VecDeque<(SignedReport, Arc<NodeReport>)>;

thread_local! {
    static OPENED: RefCell<HashMap<Arc<[u8]>, Opened>> = RefCell::default();
    static IN_FORCE: RefCell<HashMap<IntentId, (PinnedFile, InForce)>> = RefCell::default();
    static REPORTS: RefCell<HashMap<NodeId, Reports>> = RefCell::default();
    static NODES: RefCell<HashMap<[u8; 32], NodeId>> = RefCell::default();
}

/// Forgets what an earlier simulation on this thread has seen.
pub fn forget() {
    OPENED.with_borrow_mut(HashMap::clear);
    IN_FORCE.with_borrow_mut(HashMap::clear);
    REPORTS.with_borrow_mut(HashMap::clear);
}

/// As [`NodeId::of_seed`]. Machines of all simulations have the same few.
pub fn identify(seed: &[u8; 32]) -> NodeId {
    NODES.with_borrow_mut(|all| *all.entry(*seed).or_insert_with(|| NodeId::of_seed(seed)))
}

/// As [`shared::open`], which looks at all bytes that have never counted before.
pub fn open(bytes: &[u8], trust: &Trust) -> Result<Opened, Refused> {
    let fits = |opened: &&Opened| match trust {
        Trust::Owner(owner) => *owner == opened.owner(),
        Trust::FirstUse => true,
        Trust::Nobody => false,
    };
    let known = OPENED.with_borrow(|opened| opened.get(bytes).filter(fits).cloned());
    known.map_or_else(
        || {
            let opened = shared::open(bytes, trust)?;
            OPENED.with_borrow_mut(|all| all.insert(bytes.into(), opened.clone()));
            Ok(opened)
        },
        Ok,
    )
}

/// As [`Forces::open`].
pub fn forces(file: &ManifestFile, trust: &Trust) -> Result<Forces, String> {
    let pinned = |file: &Option<PinnedFile>| file.as_ref().map(|file| in_force(file, trust)).transpose();
    let (in_force, before, good) = (pinned(&file.in_force)?, pinned(&file.before)?, pinned(&file.good)?);
    let failed = file.failed.iter().copied().collect();
    Ok(Forces { in_force, before, rejected: file.rejected, halted: file.halted, failed, good })
}

fn in_force(file: &PinnedFile, trust: &Trust) -> Result<InForce, String> {
    let opened = open(&file.sealed, trust).map_err(|refused| refused.to_string())?;
    IN_FORCE.with_borrow_mut(|all| match all.get(&opened.id()) {
        Some((known, in_force)) if known == file => Ok(in_force.clone()),
        _ => {
            let in_force = InForce::of(&opened, &file.sealed, &file.document)?;
            all.insert(opened.id(), (file.clone(), in_force.clone()));
            Ok(in_force)
        }
    })
}

/// What stands for a signature: it follows from who signs, and what.
fn signature(node: &NodeId, body: &[u8]) -> Signature {
    let (mut bytes, of) = ([0; 64], fingerprint(body) ^ fingerprint(node.as_bytes()).rotate_left(1));
    for (at, part) in (1_u64..).zip(bytes.chunks_mut(8)) {
        part.copy_from_slice(&mix(of ^ mix(at)).to_be_bytes());
    }
    Signature::from_bytes(bytes)
}

fn sign(_: &[u8; 32], report: &NodeReport) -> SignedReport {
    let body = frame::to_bytes(report, MAX_REPORT_BYTES).unwrap_or_else(|error| panic!("{error}"));
    let signed = SignedReport { node: report.node, sig: signature(&report.node, &body), body };
    REPORTS.with_borrow_mut(|all| {
        let newest = all.entry(report.node).or_default();
        newest.push_front((signed.clone(), Arc::new(report.clone())));
        newest.truncate(NEWEST);
    });
    signed
}

/// Checks a report as a node does.
pub fn check(signed: &SignedReport, realm: &RealmId) -> Result<Arc<NodeReport>, ReportRefused> {
    let newest = |report: &Arc<NodeReport>| {
        if report.realm == *realm { Ok(Arc::clone(report)) } else { Err(ReportRefused::OtherRealm) }
    };
    let known = REPORTS.with_borrow(|all| {
        let (_, report) = all.get(&signed.node)?.iter().find(|(known, _)| known == signed)?;
        Some(newest(report))
    });
    known.unwrap_or_else(|| {
        if signed.sig != signature(&signed.node, &signed.body) {
            return Err(ReportRefused::BadSignature);
        }
        let report: NodeReport =
            frame::decode(&signed.body).map_err(|error| ReportRefused::Malformed(error.to_string()))?;
        newest(&Arc::new(report))
    })
}
