//! A certificate that an authority has issued.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use forebay_io::{Error, Result};

use crate::Identity;

/// A certificate with its chain and its private key.
///
/// `Debug` does not show the key.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::Identity;
/// use forebay::certificates::Authority;
///
/// let issued = Authority::new("Development")?.server(["localhost"])?;
/// # let folder = std::env::temp_dir().join(format!("forebay-issued-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
/// issued.write_to_files(&certificate, &key)?;
/// let identity = Identity::from_pem_files(certificate, key)?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), forebay::Error>(())
/// ```
#[doc(alias = "buildKeyStore")]
pub struct Issued {
    certificate_pem: String,
    key_pem: String,
}

impl Issued {
    pub(super) fn new(certificate_pem: String, key_pem: String) -> Self {
        Self { certificate_pem, key_pem }
    }

    /// Returns the certificate, followed by those of the authorities between it and the root.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the private key (PKCS #8). It is a secret.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Makes an identity from it, for a configuration.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](forebay_io::ErrorKind::Unsupported) if the program was built without a provider of
    /// cryptography.
    pub fn identity(&self) -> Result<Identity> {
        Identity::from_pem(format!("{}{}", self.certificate_pem, self.key_pem))
    }

    /// Writes the certificate and the key to files; only the owner may read the key file. Existing files
    /// are replaced.
    ///
    /// # Errors
    ///
    /// Those of the file system, with the path: [`NotFound`](forebay_io::ErrorKind::NotFound) for a folder
    /// that does not exist, [`PermissionDenied`](forebay_io::ErrorKind::PermissionDenied), … If the error
    /// is about the key file, the certificate has been written.
    ///
    /// # Platform
    ///
    /// On Unix, the key file has the mode 0600. Elsewhere it inherits the permissions of its folder.
    #[doc(alias = "saveToFile")]
    pub fn write_to_files(
        &self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<()> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        write(open(certificate), &self.certificate_pem)
            .map_err(|error| told(error, certificate))?;
        write(open_private(key), &self.key_pem).map_err(|error| told(error, key))
    }
}

fn write(file: io::Result<File>, text: &str) -> io::Result<()> {
    file?.write_all(text.as_bytes())
}

fn told(error: io::Error, path: &Path) -> Error {
    Error::from_io("write_to_files", error).with_address(path.display())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// Opens a file that only its owner may read. The mode is set before the first byte is written: when the
/// file is created, and again for an existing file with another mode.
#[cfg(unix)]
fn open_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> io::Result<File> {
    open(path)
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}
