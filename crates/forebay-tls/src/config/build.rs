//! Building the configuration of either side.

use std::sync::Arc;

use forebay_io::Result;

use super::{ConfigSide, TlsClientBuilder, TlsConfig, TlsServerBuilder};

impl TlsClientBuilder {
    /// Makes the configuration.
    ///
    /// The roots of the system are not read here, but when the first connection needs them. If reading
    /// fails, so does that connection, and the next one reads again. Once read, they are kept until the
    /// selector is dropped.
    ///
    /// With aws-lc-rs, the first random number of a process takes about 50 ms. It is drawn here, or where the
    /// roots of the system are read, rather than in a handshake.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](forebay_io::ErrorKind::InvalidInput): a cipher suite, version or group that is
    ///   unknown (the message lists the known ones), or that cannot be used with the other settings; a
    ///   protocol in `alpn` that is too long or too short, or too many of them; `require_alpn` without
    ///   `alpn`; a `session_cache` above its maximum; a `server_name` that is neither a DNS name nor an IP
    ///   address.
    /// - [`System`](forebay_io::ErrorKind::System): the system gave no random numbers.
    /// - [`Unsupported`](forebay_io::ErrorKind::Unsupported): the program was built without a provider of
    ///   cryptography.
    pub fn build(self) -> Result<TlsConfig> {
        Ok(TlsConfig(ConfigSide::Client(Arc::new(self.side()?))))
    }

    /// Makes the configuration from cryptography that a test has altered.
    #[cfg(test)]
    pub(super) fn build_with(
        self,
        cryptography: crate::provider::Cryptography,
    ) -> Result<TlsConfig> {
        Ok(TlsConfig(ConfigSide::Client(Arc::new(self.side_with(cryptography)?))))
    }
}

impl TlsServerBuilder {
    /// Makes the configuration.
    ///
    /// With aws-lc-rs, the first random number of a process takes about 50 ms. It is drawn here, rather than in
    /// the first handshake.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](forebay_io::ErrorKind::InvalidInput): a cipher suite, version or group that is
    ///   unknown (the message lists the known ones), or that cannot be used with the other settings or with
    ///   the identity's key; a protocol in `alpn` that is too long or too short, or too many of them;
    ///   `require_alpn` without `alpn`; a `session_cache` or a `ticket_count` above its maximum; roots in
    ///   `client_auth` that vouch for servers only, as those of the system do.
    /// - [`System`](forebay_io::ErrorKind::System): the system gave no random numbers.
    /// - [`Unsupported`](forebay_io::ErrorKind::Unsupported): the program was built without a provider of
    ///   cryptography.
    pub fn build(self) -> Result<TlsConfig> {
        Ok(TlsConfig(ConfigSide::Server(Arc::new(self.side()?))))
    }

    /// Makes the configuration from cryptography that a test has altered.
    #[cfg(test)]
    pub(super) fn build_with(
        self,
        cryptography: crate::provider::Cryptography,
    ) -> Result<TlsConfig> {
        Ok(TlsConfig(ConfigSide::Server(Arc::new(self.side_with(cryptography)?))))
    }
}
