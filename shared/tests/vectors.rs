//! Every file of `tests/vectors/` has the outcome that it names. `REALM_WRITE_VECTORS=1` writes them anew; they are
//! made from fixed seeds by an encoder of the tests' own, so that the code under test does not judge its own work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its expectation ends")]

mod support;

use shared::{Audience, Digest, Manifest, OwnerId, OwnerKey, RealmId, Rollout, Signature, Takeover, Trust, open};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use support::cbor::{Cbor, filled};
use support::fields::{
    APPLY, OWNER, PUSH, REMOVE, apply_body, key_of, key_text, pae, push_body, remove_body, sealed, sealed_as,
};
use support::manifests::{component, document, entry, id_of, named};
use support::vector::{Vector, hex, unhex};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// What the generator makes, by file name.
fn generated() -> BTreeMap<String, Vector> {
    let all = [
        support::intents::accepted(),
        support::intents::out_of_bounds(),
        support::applies::applies(),
        support::manifests::manifests(),
        support::forgeries::forgeries(),
        support::encodings::encodings(),
        support::reports::reports(),
        support::messages::frames(),
        support::messages::hellos(),
    ]
    .concat();
    let count = all.len();
    let by_name: BTreeMap<_, _> = all.into_iter().map(|vector| (format!("{}.txt", vector.name), vector)).collect();
    assert_eq!(by_name.len(), count, "two vectors have the same name");
    by_name
}

/// What lies in the folder, by file name.
fn written() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn write(vectors: &BTreeMap<String, Vector>) {
    for name in written().keys().filter(|name| !vectors.contains_key(*name)) {
        fs::remove_file(folder().join(name)).unwrap();
    }
    for (name, vector) in vectors {
        fs::write(folder().join(name), vector.to_text()).unwrap();
    }
}

#[test]
fn every_vector_has_its_outcome() {
    let generated = generated();
    if std::env::var_os("REALM_WRITE_VECTORS").is_some_and(|value| value == "1") {
        write(&generated);
    }
    let written = written();
    let names = |names: Vec<&String>| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(written.keys().collect()),
        names(generated.keys().collect()),
        "the folder and the generator differ\nhint: `REALM_WRITE_VECTORS=1 cargo test -p shared --test vectors`"
    );
    let mut faults = Vec::new();
    for (file, text) in &written {
        let name = file.strip_suffix(".txt").expect(file);
        assert!(name.starts_with("ok_") || name.starts_with("fail_"), "{file}: neither ok nor fail");
        let vector = Vector::parse(name, text);
        assert!(vector == generated[file], "{file} is not what the generator makes");
        if let Err(fault) = vector.check() {
            faults.push(format!("{name}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{} vectors fail:\n{}", faults.len(), faults.join("\n"));
    let failing = written.keys().filter(|name| name.starts_with("fail_")).count();
    assert!(written.len() >= 40, "{} vectors", written.len());
    assert!(failing * 2 > written.len(), "{failing} of {} fail", written.len());
}

#[test]
fn each_static_refusal_has_a_vector() {
    let vectors = generated();
    for code in
        ["too-long", "malformed", "unknown-kind", "other-owner", "bad-signature", "other-realm", "bounds", "unclaimed"]
    {
        let with_code = |vector: &&Vector| vector.fields.contains(&("code".into(), code.into()));
        assert!(vectors.values().filter(with_code).count() > 0, "no vector is refused as {code}");
    }
}

/// The encoder of the vectors and the code write the same bytes: maps with their fields in the order of the types.
#[test]
fn seal_writes_the_bytes_of_the_vector() {
    let bytes = sealed(&push_body().encode()).encode();
    let key = OwnerKey::of_seed(&OWNER);
    let body: shared::Body<shared::Push> = shared::frame::decode(&push_body().encode()).unwrap();
    assert_eq!(shared::seal(&key, &body), Ok(bytes));
    let bytes = sealed_as(OWNER, REMOVE, &remove_body().encode()).encode();
    let body: shared::Body<shared::Remove> = shared::frame::decode(&remove_body().encode()).unwrap();
    assert_eq!(shared::seal(&key, &body), Ok(bytes));
    let bytes = sealed_as(OWNER, APPLY, &apply_body(b"a document").encode()).encode();
    let body: shared::Body<shared::Apply> = shared::frame::decode(&apply_body(b"a document").encode()).unwrap();
    assert_eq!(shared::seal(&key, &body), Ok(bytes));
}

/// The same for a manifest, which is written in the order of the names.
#[test]
fn a_manifest_has_the_bytes_of_the_vector() {
    let spec = |name: &str| shared::frame::decode(&named(name).encode()).unwrap();
    let one = |name: &str| (spec(name), Audience::default(), Takeover::StartFirst);
    let manifest = Manifest::new(Rollout::default(), vec![one("b"), one("c"), one("a")]).unwrap();
    let bytes = document(["a", "b", "c"].map(|name| entry(&named(name)))).encode();
    assert_eq!(**manifest.bytes(), *bytes);
    assert_eq!(manifest.artifact().digest, Digest::of(&bytes));
    let ids: Vec<String> = manifest.components().values().map(|declared| declared.id.to_string()).collect();
    assert_eq!(ids, ["a", "b", "c"].map(|name| id_of(&named(name))));
    assert_eq!(**Manifest::new(Rollout::default(), Vec::new()).unwrap().bytes(), *document([]).encode());
}

/// Documents that would be large files: at their bounds, and just beyond.
#[test]
fn a_manifest_has_its_bounds() {
    let of = |count: usize| document((0..count).map(|at| entry(&named(&format!("c{at}")))));
    let decode = |document: &Cbor| Manifest::decode(&document.encode());
    assert_eq!(decode(&of(1_000)).unwrap().components().len(), 1_000);
    assert_eq!(decode(&of(1_001)).unwrap_err(), "the manifest has 1001 components, at most 1000 are allowed");
    let one = document([entry(&component())]);
    let largest = decode(&filled(&one, 1 << 20)).unwrap();
    assert_eq!((largest.artifact().size, largest.artifact().chunk_count()), (1 << 20, 4));
    let fault = decode(&filled(&one, (1 << 20) + 1)).unwrap_err();
    assert_eq!(fault, "the manifest has 1048577 bytes, at most 1048576 are allowed");
}

#[test]
fn ids_are_digests_of_what_is_signed() {
    let body = push_body().encode();
    assert_eq!(shared::pae(PUSH, &body), pae(PUSH, &body));
    assert_eq!(shared::pae("a", b"bc"), b"DSSEv1 1 a 2 bc");
    assert_eq!(shared::pae("ü", b""), "DSSEv1 2 ü 0 ".as_bytes());
    let key = OwnerKey::of_seed(&OWNER);
    assert_eq!(key.id().to_string(), key_text(&key_of(OWNER)));
    let opened = open(&sealed(&body).encode(), &Trust::FirstUse).unwrap();
    assert_eq!(opened.id().as_bytes(), Digest::of(&pae(PUSH, &body)).as_bytes());
    let genesis = [b"realm/genesis/v1\0".as_slice(), key.id().as_bytes()].concat();
    assert_eq!(RealmId::of_owner(&key.id()).to_string(), Digest::of(&genesis).hex());
}

/// RFC 8032, section 7.1, test 2: without a known answer, a signer and a verifier with the same fault would agree.
#[test]
fn signatures_are_those_of_rfc_8032() {
    let array = |text: &str| <[u8; 32]>::try_from(unhex(text).unwrap()).unwrap();
    let seed = array("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let public = array("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let key = OwnerKey::of_seed(&seed);
    assert_eq!(key.id(), OwnerId::from_bytes(public));
    assert_eq!(hex(key.sign(&[0x72]).as_bytes()), signature);
    let signature = Signature::from_bytes(unhex(signature).unwrap().try_into().unwrap());
    assert!(key.id().verify(&[0x72], &signature));
    assert!(!key.id().verify(&[0x73], &signature));
}
