//! The Unix socket: binding it, and who may connect.
//!
//! Owns two doors: the directory, which only the signer may change, and the peer's uid, which the kernel vouches for and
//! which is checked at each connection before a byte of it is read. The signer's own user may connect too, as a probe in its own
//! container does, and is answered by the health service alone.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixStream as TokioStream;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Interceptor;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Status};

/// The signer's own and a group's that may look in.
const DIRECTORY_MODE: u32 = 0o750;

/// Whoever is in the group may connect; whom we answer is decided by the allow-list.
const SOCKET_MODE: u32 = 0o660;

/// Why the socket is not there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The file system says no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others could put another socket in its place.
    #[error(
        "socket directory {path} has mode {mode:04o} and owner {owner}: it must be the signer's own, with mode 0750 or less"
    )]
    DirectoryOpen {
        /// The directory.
        path: String,
        /// Its mode.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// Another process answers there.
    #[error("another process listens on {0}: exactly one signer may run for a wallet")]
    InUse(String),
    /// Something else lies there.
    #[error("{0} exists and is no socket")]
    NotASocket(String),
}

/// A bound socket and who may connect.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    allowed_uids: BTreeSet<u32>,
    own_uid: u32,
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ListenError {
    let path = path.display().to_string();
    move |source| ListenError::Io { what, path, source }
}

impl Socket {
    /// Binds. A socket file that nobody answers on is left from an earlier run and removed.
    pub fn bind(path: &Path, allowed_uids: BTreeSet<u32>) -> Result<Socket, ListenError> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        check_directory(directory)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(io_error("listen on", path))?;
        std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
            .map_err(io_error("set the mode of", path))?;
        listener
            .set_nonblocking(true)
            .map_err(io_error("listen on", path))?;
        Ok(Socket {
            listener,
            path: path.to_path_buf(),
            allowed_uids,
            own_uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose calls are answered, beyond their health checks.
    pub(super) fn callers(&self) -> Callers {
        Callers(Arc::new(self.allowed_uids.clone()))
    }

    /// The connections of those who may connect. Needs a runtime around it.
    pub(super) fn into_incoming(self) -> io::Result<impl Stream<Item = io::Result<TokioStream>>> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        let mut allowed_uids = self.allowed_uids;
        allowed_uids.insert(self.own_uid);
        Ok(
            UnixListenerStream::new(listener).filter(move |connection| match connection {
                Ok(stream) => is_allowed(stream, &allowed_uids),
                Err(_) => true,
            }),
        )
    }
}

/// Lets calls of the allow-list through, and nobody else's.
#[derive(Clone, Debug)]
pub(super) struct Callers(Arc<BTreeSet<u32>>);

impl Interceptor for Callers {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let peer = request.extensions().get::<UdsConnectInfo>();
        let uid = peer.and_then(|peer| peer.peer_cred).map(|peer| peer.uid());
        match uid {
            Some(uid) if self.0.contains(&uid) => Ok(request),
            _ => {
                tracing::warn!(uid, "refused a call: the uid is not in listen.allowed_uids");
                Err(Status::permission_denied(
                    "the caller's uid is not in listen.allowed_uids; the signer's own user may only ask for its health",
                ))
            }
        }
    }
}

fn is_allowed(stream: &TokioStream, allowed_uids: &BTreeSet<u32>) -> bool {
    match stream.peer_cred() {
        Ok(peer) if allowed_uids.contains(&peer.uid()) => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                pid = peer.pid(),
                "refused a connection: the uid is not in listen.allowed_uids"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a connection whose peer is unknown");
            false
        }
    }
}

fn check_directory(directory: &Path) -> Result<(), ListenError> {
    if !directory.exists() {
        DirBuilder::new()
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(io_error("create", directory))?;
    }
    let metadata = directory
        .metadata()
        .map_err(io_error("inspect", directory))?;
    let mode = metadata.mode() & 0o7777;
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own || mode & 0o027 != 0 {
        return Err(ListenError::DirectoryOpen {
            path: directory.display().to_string(),
            mode,
            owner: metadata.uid(),
        });
    }
    Ok(())
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("inspect", path)(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.display().to_string()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io_error("remove the stale socket", path))
        }
        Ok(_) => Err(ListenError::InUse(path.display().to_string())),
        Err(error) => Err(io_error("try whether anybody answers on", path)(error)),
    }
}
