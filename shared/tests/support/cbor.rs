//! A CBOR encoder that can also write what no encoder should: the vectors must not depend on the codec under test.

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cbor {
    Uint(u64),
    /// The number -1 - n.
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Cbor>),
    Map(Vec<(String, Cbor)>),
    Bool(bool),
    Null,
    /// Bytes as they are, well formed or not.
    Raw(Vec<u8>),
}

impl Cbor {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Cbor::Uint(number) => head(out, 0, *number),
            Cbor::Negative(number) => head(out, 1, *number),
            Cbor::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Cbor::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Cbor::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Cbor::Map(pairs) => {
                head(out, 5, pairs.len() as u64);
                for (key, value) in pairs {
                    text(key).write(out);
                    value.write(out);
                }
            }
            Cbor::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Cbor::Null => out.push(0xf6),
            Cbor::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// The pairs of a map.
    pub(crate) fn pairs(&mut self) -> &mut Vec<(String, Cbor)> {
        match self {
            Cbor::Map(pairs) => pairs,
            other => panic!("not a map: {other:?}"),
        }
    }

    /// The item under a path such as `payload.component.name`.
    pub(crate) fn at(&mut self, path: &str) -> &mut Cbor {
        path.split('.').fold(self, |item, key| {
            let pair = item.pairs().iter_mut().find(|(name, _)| name == key);
            &mut pair.unwrap_or_else(|| panic!("no `{key}` of `{path}`")).1
        })
    }

    /// The same with another item under `path`.
    pub(crate) fn with(mut self, path: &str, item: Cbor) -> Cbor {
        *self.at(path) = item;
        self
    }

    /// The same without what is under `path`.
    pub(crate) fn without(mut self, path: &str) -> Cbor {
        let (map, key) = match path.rsplit_once('.') {
            Some((map, key)) => (self.at(map), key),
            None => (&mut self, path),
        };
        let before = map.pairs().len();
        map.pairs().retain(|(name, _)| name != key);
        assert!(map.pairs().len() < before, "no `{path}`");
        self
    }

    /// The same with one more pair at the end of the map under `path`; an empty path means the outermost map.
    pub(crate) fn and(mut self, path: &str, key: &str, item: Cbor) -> Cbor {
        let map = if path.is_empty() { &mut self } else { self.at(path) };
        map.pairs().push((key.into(), item));
        self
    }
}

/// The map with an unknown field that makes it `size` bytes long.
pub(crate) fn filled(map: &Cbor, size: usize) -> Cbor {
    let with = |filler: usize| map.clone().and("", "later", bytes(&vec![0; filler]));
    // The head of a byte string has the same length from 256 bytes to 64 KiB, and another one from there to 4 GiB.
    let probe = if size < 0x1_0000 { 0x100 } else { 0x1_0000 };
    let filled = with(size - with(probe).encode().len() + probe);
    assert_eq!(filled.encode().len(), size);
    filled
}

/// The head of an item, as short as can be.
pub(crate) fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..=23 => out.push(major | argument as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

pub(crate) fn text(text: &str) -> Cbor {
    Cbor::Text(text.into())
}

pub(crate) fn bytes(bytes: &[u8]) -> Cbor {
    Cbor::Bytes(bytes.into())
}

pub(crate) fn array(items: impl IntoIterator<Item = Cbor>) -> Cbor {
    Cbor::Array(items.into_iter().collect())
}

pub(crate) fn map<const N: usize>(pairs: [(&str, Cbor); N]) -> Cbor {
    Cbor::Map(pairs.into_iter().map(|(key, item)| (key.into(), item)).collect())
}
