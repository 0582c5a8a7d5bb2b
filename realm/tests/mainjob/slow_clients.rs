//! Thousands of clients that connect and never come to the point: the agent goes on as if they were not there. The figures
//! are printed; what is asserted is several times what an idle machine needs.

#![cfg(target_os = "linux")]

use crate::load::{children, runner};
use crate::operator::Operator;
use crate::support::{Agent, eventually, owner};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// So many, where the system lets a process have them.
const SLOW_CLIENTS: u64 = 10_000;
const AT_LEAST: u64 = 2_000;

/// What the test itself needs.
const OWN_DESCRIPTORS: u64 = 500;

/// As many as an agent has at once.
const CLIENTS: usize = 128;

/// The soft limit that most systems begin with.
const USUAL_LIMIT: u64 = 1_024;

/// What the control process may grow by.
const GROWTH_KIB: u64 = 32 * 1024;

/// What half of the answers to `/healthz` come within in the middle of many: a few milliseconds on an idle machine, and 5 s or more,
/// or none at all, when slow clients are in the way.
const HEALTHZ: Duration = Duration::from_secs(1);

/// Sets how many descriptors this process, and whoever it starts from now on, may have.
fn limit_descriptors(current: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }).unwrap();
}

fn control(agent: &Agent) -> u32 {
    let control = children(agent.pid()).into_iter().find(|pid| Some(*pid) != runner(agent));
    control.expect("a control process")
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A number that `/proc` gives of a process.
fn figure(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// Time on a core so far, in hundredths of a second.
fn cpu(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// One that begins a request.
fn slow_client(agent: &Agent) -> TcpStream {
    let mut client = agent.connect();
    // It may have been turned away by then.
    let _ = client.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ");
    client
}

/// Keeps so many slow clients connected, or trying to be, until it is told to stop; gives how often one connected.
fn flood(agent: &Agent, clients: usize, connected: &AtomicUsize, stop: &AtomicBool) {
    let mut all: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) && all.len() < clients {
        all.push(slow_client(agent));
        connected.fetch_add(1, Ordering::Relaxed);
    }
    // From now on each says a little more now and then, and is there again when it was turned away.
    for at in (0..clients).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if all[at].write_all(b"y").is_err() {
            all[at] = slow_client(agent);
            connected.fetch_add(1, Ordering::Relaxed);
        }
        // At the pace of a few thousand a second; they are many, and not a load.
        thread::sleep(Duration::from_micros(200));
    }
}

/// Asks for `/healthz` once; how long it took.
fn health(agent: &Agent) -> Result<Duration, String> {
    let asked = Instant::now();
    agent.try_get("/healthz").map(|_| asked.elapsed())
}

/// Asks again and again while `going`; the median and the worst, and how often there was no answer.
fn healths(agent: &Agent, mut going: impl FnMut() -> bool) -> (Duration, Duration, usize, usize) {
    let (mut times, mut failed) = (Vec::new(), 0);
    while going() {
        match health(agent) {
            Ok(time) => times.push(time),
            Err(_) => failed += 1,
        }
    }
    times.sort();
    (times[times.len() / 2], times[times.len() - 1], times.len(), failed)
}

#[test]
fn ten_thousand_slow_clients_hold_up_nobody() {
    limit_descriptors(USUAL_LIMIT);
    let key = owner(1);
    let agents = Agent::realm(&key, &[&[], &[]]);
    let agent = &agents[0];
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    let control = control(agent);
    assert!(figure(control, "limits", "Max open files") > USUAL_LIMIT, "the agent has raised its limit");
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    limit_descriptors(most);
    let clients = SLOW_CLIENTS.min(most.saturating_sub(OWN_DESCRIPTORS));
    assert!(clients >= AT_LEAST, "the system lets a process have {most} descriptors only");
    let clients = usize::try_from(clients).unwrap();
    let (before, memory) = (descriptors(control), figure(control, "status", "VmRSS:"));

    let (connected, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // Also when something below fails.
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| flood(agent, clients, &connected, &stop));
        let began = Instant::now();
        let (median, worst, asked, failed) = healths(agent, || connected.load(Ordering::Relaxed) < clients);
        let took = began.elapsed();
        println!(
            "{clients} slow clients in {took:?}; /healthz meanwhile: median {median:?}, worst {worst:?}, {failed} of {asked} unanswered"
        );
        assert!(median <= HEALTHZ && failed * 20 <= asked, "{median:?}, {failed} of {asked} unanswered");

        let mut left = 200;
        let (median, worst, asked, failed) = healths(agent, || {
            left -= 1;
            left >= 0
        });
        let (now, grown) = (descriptors(control), figure(control, "status", "VmRSS:").saturating_sub(memory));
        println!("and then: median {median:?}, worst {worst:?}, {failed} of {asked} unanswered");
        println!("control: {now} descriptors after {before}, {grown} KiB more memory");
        assert!(median <= HEALTHZ && failed * 20 <= asked, "{median:?}, {failed} of {asked} unanswered");
        // Each has one; the few that are served have one more each.
        assert!(now <= before + CLIENTS + 64 && grown <= GROWTH_KIB, "{now} after {before}, {grown} KiB");

        let pushed = Instant::now();
        operator.push(node, "hello", "hello", |_| {});
        for agent in &agents {
            agent.until("hello", "completed");
        }
        println!("a push to both nodes: {:?}", pushed.elapsed());
        agents[1].until_sees(2);
        assert_eq!(agent.metric("realm_peers"), 1, "a scrape gets in, too");
    });
    eventually("their descriptors have come back", || match descriptors(control) {
        now if now <= before + 16 => Ok(()),
        now => Err(format!("{now} after {before}")),
    });
}

/// Ends the flood however the test ends.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_agent_without_descriptors_waits_and_goes_on() {
    let key = owner(1);
    let agent = Agent::start(&["--owner", &key.id().to_string()]);
    let control = control(&agent);
    let pid = Pid::from_raw(i32::try_from(control).unwrap());
    let before = descriptors(control);
    let scarce = Rlimit { current: Some(before as u64 + 20), ..getrlimit(Resource::Nofile) };
    let former = prlimit(pid, Resource::Nofile, scarce).unwrap();
    let (used, began) = (cpu(control), Instant::now());
    let mut slow: Vec<TcpStream> = Vec::new();
    for more in 30..38 {
        // All descriptors are taken, or all but a few: it is another number each time.
        slow.extend((0..more).map(|_| slow_client(&agent)));
        eventually("an answer", || health(&agent));
        slow.extend((0..more).map(|_| slow_client(&agent)));
        eventually("an answer to a scrape", || agent.try_get("/metrics"));
    }
    let (used, took) = (cpu(control) - used, began.elapsed());
    println!("answers without descriptors: {took:?}, {used} hundredths of a second of processor time");
    // If none gave way, each would wait until a silent one is given up, which is 5 s.
    assert!(took < Duration::from_secs(40), "{took:?}: whoever is silent gives way at once");
    assert!(u128::from(used) * 10 <= took.as_millis() / 2 + 500, "it spins: {used} hundredths in {took:?}");
    drop(slow);
    prlimit(pid, Resource::Nofile, former).unwrap();
    let operator = Operator::of(&key);
    let (node, _) = operator.meet(agent.addr());
    operator.push(node, "hello", "hello", |_| {});
    agent.until("hello", "completed");
}
