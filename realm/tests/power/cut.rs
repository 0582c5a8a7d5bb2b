//! The power fails, at each moment of an apply: what the device has by then is mounted, and an agent is started on it.

use crate::image::{Image, Mounted};
use crate::moments::{Disk, Moments, missing};
use crate::site::Site;
use crate::skip::skipped;
use crate::tally::{Course, Tally};

/// What a power cut leaves, from one moment on to another.
struct Cut {
    image: Image,
    /// The version that is in force before.
    version: u32,
    /// At which moments, in words.
    at: Vec<String>,
    /// Whether the operator was told by then that the node has the next version.
    acknowledged: bool,
}

/// Applies the next version, and gives what the device has before and after each call.
fn cuts(site: &mut Site, mounted: &Mounted, disk: Disk) -> Vec<Cut> {
    // What was acknowledged before is there.
    let mut last = Vec::new();
    let mut cuts: Vec<Cut> = Vec::new();
    let mut moments = Moments::of(site.process("control").unwrap(), disk);
    let mut applying = site.begin(site.version + 1);
    let mut number = 0;
    while let Some(call) = moments.next(&mut || applying.has_ended()) {
        number += 1;
        for side in ["before", "after"] {
            if side == "after" {
                moments.pass();
            }
            let bytes = mounted.left_by_a_power_cut();
            if bytes != last {
                let (image, version) = (Image::of(&bytes), site.version);
                cuts.push(Cut { image, version, at: Vec::new(), acknowledged: false });
                last = bytes;
            }
            if let Some(cut) = cuts.last_mut() {
                cut.at.push(format!("{side} {number}: {}", site.shortened(&call)));
                cut.acknowledged |= applying.is_acknowledged();
            }
        }
        moments.go();
    }
    moments.release();
    assert_eq!(applying.until_ended(), Some(0), "{}", applying.said());
    site.version += 1;
    println!("{disk:?} disk: {number} moments leave {} states of the device", cuts.len());
    cuts
}

#[test]
fn the_power_fails_before_and_after_each_call() {
    if let Some(why) = missing() {
        return skipped(&why);
    }
    let Some(disk) = Mounted::new() else { return };
    let mut site = Site::new(&disk.place(), Some((&disk.data_dir(), disk.seen())));
    let cuts: Vec<Cut> =
        [Disk::Quick, Disk::Slow].map(|pace| cuts(&mut site, &disk, pace)).into_iter().flatten().collect();
    site.agent.kill();
    let mut tally = Tally::default();
    let tried: Vec<usize> = Course::of_this_run().numbers().take_while(|number| *number <= cuts.len()).collect();
    for (_, Cut { image, version, at, acknowledged }) in
        cuts.into_iter().enumerate().filter(|(at, _)| tried.contains(&(at + 1)))
    {
        println!("{}; acknowledged: {acknowledged}", at.join(", "));
        let disk = image.mount().unwrap();
        site.move_to(&disk.place(), &disk.data_dir(), disk.seen(), version);
        tally.judge(&site, acknowledged);
        site.apply(version + 1);
        site.assert_whole();
        site.agent.kill();
    }
    println!("the power failed: {tally}");
    tally.check();
}
