//! What the tests of the protocol share: a CBOR encoder and a signer of their own, and the vectors made with them.
//! Nothing here uses the code under test to build what that code is to judge, except for raw signatures and digests.

pub(crate) mod applies;
pub(crate) mod cbor;
pub(crate) mod encodings;
pub(crate) mod fields;
pub(crate) mod forgeries;
pub(crate) mod intents;
pub(crate) mod manifests;
pub(crate) mod messages;
pub(crate) mod reports;
pub(crate) mod vector;
