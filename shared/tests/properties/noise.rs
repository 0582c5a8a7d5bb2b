//! Bytes and texts that nobody meant: no reader panics on them.

use super::strategies::manifests::{apply, manifest};
use super::{SEED, config, strategies};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use shared::*;
use std::fmt::Debug;

/// Hands bytes to every reader there is; none of them may panic.
fn read_everything(bytes: &[u8]) {
    let _ = open(bytes, &Trust::FirstUse);
    let _ = open(bytes, &Trust::Owner(OwnerKey::of_seed(&SEED).id()));
    let _ = frame::decode::<Sealed>(bytes);
    let _ = frame::decode::<Body<Push>>(bytes).map(|body| body.check());
    let _ = frame::decode::<Body<Remove>>(bytes).map(|body| body.check());
    let _ = frame::decode::<Body<Apply>>(bytes).map(|body| body.check());
    let _ = Manifest::decode(bytes).map(|manifest| manifest.artifact());
    let _ = frame::decode::<Receipt>(bytes);
    let _ = frame::decode::<NodeReport>(bytes);
    let realm = RealmId::from_bytes([0; 32]);
    let _ = frame::decode::<SignedReport>(bytes).map(|report| report.open(&realm));
    let _ = frame::decode::<Hello>(bytes).map(|hello| hello.is_bounded());
    let _ = frame::decode::<SyncRequest>(bytes);
    let _ = frame::decode::<SyncReply>(bytes);
    let _ = frame::decode::<BlobRequest>(bytes);
    let _ = frame::decode::<BlobReply>(bytes);
    let _ = frame::decode::<WatchRequest>(bytes);
    let _ = frame::decode::<WatchReply>(bytes);
    let _ = NodeId::from_peer_id_bytes(bytes);
}

fn parse_everything(text: &str) {
    let _ = text.parse::<NodeId>();
    let _ = text.parse::<OwnerId>();
    let _ = text.parse::<RealmId>();
    let _ = text.parse::<IntentId>();
    let _ = text.parse::<Digest>();
    let _ = text.parse::<Signature>();
    let _ = text.parse::<ComponentName>();
    let _ = text.parse::<Tag>();
    let _ = text.parse::<IntentKey>();
    let _ = text.parse::<Outcome>();
    let _ = text.parse::<Restart>();
    let _ = text.parse::<Isolation>();
    let _ = text.parse::<Mebibytes>();
    let _ = text.parse::<Fuel>();
    let _ = OwnerKey::from_secret_text(text).map(|key| key.id());
    let _ = Digest::from_hex(text);
}

proptest! {
    #![proptest_config(config(700))]

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..200), text in "(?s).{0,80}") {
        read_everything(&bytes);
        parse_everything(&text);
    }

    #[test]
    fn text_that_is_nearly_right_never_panics(
        head in prop::sample::select(vec![
            "", "ed25519:", "ed25519-secret:", "sha256:", "12D3KooW", "component/", "manifest", "exit ", "trap: ", "exit -",
        ]),
        rest in "[0-9a-zA-Z]{0,70}",
    ) {
        parse_everything(&format!("{head}{rest}"));
    }

    /// Bytes that were a message until some of them were changed, dropped or doubled.
    #[test]
    fn bent_messages_never_panic(
        valid in valid_message(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in (any::<prop::sample::Index>(), 0..3_u8, 0..40_usize),
    ) {
        let mut bytes = valid;
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let at = cut.0.index(bytes.len());
        let end = (at + cut.2).min(bytes.len());
        match cut.1 {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            _ => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        read_everything(&bytes);
    }
}

fn valid_message() -> impl Strategy<Value = Vec<u8>> {
    fn bytes<T: Serialize + Debug>(value: T) -> Vec<u8> {
        frame::to_bytes(&value, 1 << 20).unwrap()
    }
    let key = OwnerKey::of_seed(&SEED);
    let realm = RealmId::of_owner(&key.id());
    prop_oneof![
        strategies::push(realm).prop_map({
            let key = key.clone();
            move |body| seal(&key, &body).unwrap()
        }),
        apply(realm).prop_map(move |body| seal(&key, &body).unwrap()),
        apply(realm).prop_map(bytes),
        manifest().prop_map(|manifest| manifest.bytes().to_vec()),
        strategies::push(realm).prop_map(bytes),
        strategies::removal(realm).prop_map(bytes),
        strategies::report(SEED, 0..3, 20).prop_map(|report| bytes(SignedReport::sign(&SEED, &report))),
        strategies::report(SEED, 0..3, 20).prop_map(bytes),
        strategies::hello().prop_map(bytes),
        strategies::receipt().prop_map(bytes),
        strategies::sync_request().prop_map(bytes),
        strategies::sync_reply().prop_map(bytes),
        strategies::blob_request().prop_map(bytes),
        strategies::blob_reply().prop_map(bytes),
        strategies::watch_request().prop_map(bytes),
        strategies::watch_reply().prop_map(bytes),
    ]
}
