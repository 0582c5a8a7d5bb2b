//! How signatures are made and checked: as `shared` does it, unless a simulation does it otherwise. There each of a thousand
//! nodes hears what the others hear, and whoever has checked something remembers that for all.

use shared::{NodeId, NodeReport, Opened, RealmId, Refused, ReportRefused, SignedReport, Trust, open};
use std::sync::Arc;

/// How it is found out whether an intent is the owner's, and what it says.
pub type OpenIntent = fn(&[u8], &Trust) -> Result<Opened, Refused>;

/// Which node a secret seed belongs to.
pub type Identify = fn(&[u8; 32]) -> NodeId;

/// How a node signs a report, with its secret seed.
pub type SignReport = fn(&[u8; 32], &NodeReport) -> SignedReport;

/// How it is found out whether a report counts, and what it says.
pub type CheckReport = fn(&SignedReport, &RealmId) -> Result<Arc<NodeReport>, ReportRefused>;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Signatures {
    /// The key that goes with a seed.
    pub identify: Identify,
    /// Of intents: gives what only [`open`] makes.
    pub open: OpenIntent,
    /// Of this node's own reports.
    pub sign: SignReport,
    /// Of those of others.
    pub check: CheckReport,
}

impl Default for Signatures {
    fn default() -> Signatures {
        Signatures {
            identify: NodeId::of_seed,
            open,
            sign: SignedReport::sign,
            check: |report, realm| report.open(realm).map(Arc::new),
        }
    }
}
