//! What stands between the gateway and the ledger's server: passes every message on, until a case wants otherwise.
//!
//! Owns: one listener on loopback; cutting connections; swallowing submissions. May not: change a message.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::SinkExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

/// The listener and what it does with messages.
pub(super) struct Between {
    url: String,
    swallows: Arc<AtomicBool>,
    cuts: watch::Sender<u64>,
    serving: JoinHandle<()>,
}

impl Between {
    /// Stands before the server at `url`.
    pub(super) async fn the_server(url: &str) -> io::Result<Between> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = format!("ws://{}", listener.local_addr()?);
        let swallows = Arc::new(AtomicBool::new(false));
        let (cuts, told) = watch::channel(0);
        let (server, swallowing) = (url.to_owned(), Arc::clone(&swallows));
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (server, swallows) = (server.clone(), Arc::clone(&swallowing));
                let mut cut = told.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass_on(socket, &server, &swallows) => {}
                        // Both sockets are dropped in the middle of whatever they were about.
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Ok(Between {
            url: own,
            swallows,
            cuts,
            serving,
        })
    }

    /// Where the gateway is to connect.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends every connection now. The next ones are passed on as before.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether submissions are lost on their way.
    pub(super) fn swallow_submissions(&self, on: bool) {
        self.swallows.store(on, Ordering::SeqCst);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(socket: TcpStream, server: &str, swallows: &AtomicBool) {
    let Ok(mut gateway) = accept_async(socket).await else {
        return;
    };
    let Ok((mut server, _)) = connect_async(server).await else {
        return;
    };
    loop {
        let passed = tokio::select! {
            asked = gateway.next() => match asked {
                Some(Ok(message)) if swallows.load(Ordering::SeqCst) && is_submission(&message) => Ok(()),
                Some(Ok(message)) => server.send(message).await,
                _ => return,
            },
            told = server.next() => match told {
                Some(Ok(message)) => gateway.send(message).await,
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}

fn is_submission(message: &Message) -> bool {
    message
        .to_text()
        .is_ok_and(|text| text.contains("\"submit\""))
}
