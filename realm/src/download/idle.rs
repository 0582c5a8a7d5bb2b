//! A connection on which nothing comes for too long is given up: the client itself has limits for phases of a request, and a
//! large artifact over a slow link takes as long as it takes.

use std::io;
use std::time::Duration;
use ureq::Error;
use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Watches the connections that come out of the connectors before it.
#[derive(Debug)]
pub(super) struct Watched(pub(super) Duration);

impl<In: Transport> Connector<In> for Watched {
    type Out = Watch<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Watch<In>>, Error> {
        Ok(chained.map(|inner| Watch { inner, idle: self.0 }))
    }
}

/// See [`Watched`].
#[derive(Debug)]
pub(super) struct Watch<In> {
    inner: In,
    idle: Duration,
}

impl<In: Transport> Watch<In> {
    /// Does something within the time that is left, and within that which a connection may be silent.
    fn within<T>(
        &mut self,
        timeout: NextTimeout,
        act: impl FnOnce(&mut In, NextTimeout) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = Limit::from(self.idle);
        if timeout.after <= idle {
            return act(&mut self.inner, timeout);
        }
        match act(&mut self.inner, NextTimeout { after: idle, reason: timeout.reason }) {
            Err(Error::Timeout(_)) => {
                let text = format!("nothing came for {} seconds", self.idle.as_secs());
                Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
            other => other,
        }
    }
}

impl<In: Transport> Transport for Watch<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.within(timeout, |inner, timeout| inner.transmit_output(amount, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.within(timeout, Transport::await_input)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
