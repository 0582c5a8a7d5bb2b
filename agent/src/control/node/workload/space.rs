//! What a component needs on the disk: its artifact, and the code that is compiled of it.

use super::Workload;
use crate::control::node::effect::Effect;
use crate::control::node::quota::Code;
use crate::control::node::slot::Slot;
use crate::control::node::stage::Stage;
use shared::Digest;

impl Workload {
    /// Whether it waits for this artifact.
    pub fn fetches(&self, digest: &Digest) -> bool {
        self.spec.artifact.digest == *digest && self.is_fetching()
    }

    /// Whether the disk has no room for it: nobody is to be asked for it meanwhile.
    pub fn lacks_room(&self) -> bool {
        matches!(self.stage, Stage::NoSpace { .. })
    }

    /// The code that it has no room for.
    pub fn lacks_code(&self) -> Option<Code> {
        let lacks = matches!(self.stage, Stage::NoSpace { here: true, .. });
        lacks.then_some((self.spec.artifact.digest, self.needs_fuel()))
    }

    /// Artifacts whose code it needs: its own when it runs, is about to, or will again, and those of what it replaces.
    pub fn needs_code_of(&self) -> impl Iterator<Item = Digest> {
        let may_run = self.spec.start && self.slots.iter().any(|(slot, _)| !matches!(slot, Slot::Ended(_)));
        let needs = match self.stage {
            Stage::Preparing | Stage::Retrying { .. } => true,
            Stage::Ready => may_run,
            _ => false,
        };
        needs.then_some(self.spec.artifact.digest).into_iter().chain(self.retiring.digests())
    }

    /// Whether an instance lives, or is about to, by code that was compiled of this artifact.
    pub fn lives_by_code_of(&self, digest: &Digest) -> bool {
        !self.is_preparing() && self.needs_code_of().any(|of| of == *digest)
            || self.retiring.digests().any(|of| of == *digest)
    }

    /// There is room for it: for its code when its artifact is `here`, or else for that.
    pub fn has_room(&mut self, here: bool) {
        match &mut self.stage {
            Stage::NoSpace { here: true, .. } if here => self.stage = Stage::Preparing,
            Stage::NoSpace { here: false, .. } if !here => self.stage = Stage::Fetching { bytes: 0, reason: None },
            Stage::Fetching { reason, .. } if !here => *reason = None,
            _ => {}
        }
    }

    /// There will be room for its artifact.
    pub fn has_room_soon(&mut self, why_not_now: &str) {
        self.has_room(false);
        if let Stage::Fetching { reason, .. } = &mut self.stage {
            *reason = Some(why_not_now.to_owned());
        }
    }

    /// There is no room for its artifact, or for its code when that is `here`.
    pub fn has_no_room(&mut self, why: &str, here: bool, out: &mut Vec<Effect>) {
        let is_news = match self.stage {
            Stage::Preparing => here,
            Stage::Fetching { .. } => !here,
            Stage::NoSpace { here: of, .. } if of == here => false,
            _ => return,
        };
        if is_news {
            out.push(Effect::Note(self.spec.name.clone(), why.to_owned()));
        }
        if is_news || self.lacks_room() {
            self.stage = Stage::NoSpace { reason: why.to_owned(), here };
        }
    }
}
