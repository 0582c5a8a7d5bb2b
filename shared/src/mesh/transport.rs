//! The two transports: QUIC, and TCP with Noise and Yamux for networks that drop UDP.

use super::MeshError;
use super::limits::{HANDSHAKE_TIMEOUT, IDLE_TIMEOUT_MS, KEEP_ALIVE, Limits, MAX_MUXED_STREAMS};
use futures::future::Either;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, noise, quic, tcp, yamux};

/// Both transports behind one type.
pub(super) fn build(keypair: &Keypair, limits: &Limits) -> Result<Boxed<(PeerId, StreamMuxerBox)>, MeshError> {
    let noise = noise::Config::new(keypair).map_err(|error| MeshError::Setup(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux_config())
        .timeout(HANDSHAKE_TIMEOUT);
    let quic = quic::tokio::Transport::new(quic_config(keypair, limits));
    let both = quic.or_transport(tcp).map(|connected, _| match connected {
        Either::Left((peer, connection)) => (peer, StreamMuxerBox::new(connection)),
        Either::Right((peer, connection)) => (peer, StreamMuxerBox::new(connection)),
    });
    Ok(both.boxed())
}

fn quic_config(keypair: &Keypair, limits: &Limits) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = IDLE_TIMEOUT_MS;
    config.keep_alive_interval = KEEP_ALIVE;
    config.max_concurrent_stream_limit = u32::try_from(MAX_MUXED_STREAMS).unwrap_or(u32::MAX);
    config.max_stream_data = limits.stream_window_bytes;
    config.max_connection_data = limits.connection_window_bytes;
    config
}

/// libp2p opens up no more of Yamux than the number of streams: each starts with a window of 256 KiB, which grows only
/// as fast as we read.
fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_MUXED_STREAMS);
    config
}
