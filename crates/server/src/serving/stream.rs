//! [`Watched`]: a connection that fails when the other side dawdles.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A connection whose other side may take so long for the header of a request and for reading an answer.
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    /// Whether a request is being served: then what is read belongs to its body.
    busy: Arc<AtomicBool>,
    header: Patience,
    unread: Patience,
}

/// A deadline that is set when something begins, and lifted when it is done.
#[derive(Debug)]
struct Patience {
    length: Duration,
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl Patience {
    fn new(length: Duration) -> Self {
        Self {
            length,
            timer: Box::pin(sleep(length)),
            running: false,
        }
    }

    /// Starts the clock unless it runs.
    fn begin(&mut self) {
        if !self.running {
            self.running = true;
            self.timer.as_mut().reset(Instant::now() + self.length);
        }
    }

    fn lift(&mut self) {
        self.running = false;
    }

    /// Pending, or the failure if it took too long.
    fn check<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.running {
            ready!(self.timer.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S> Watched<S> {
    /// The first header is waited for from the beginning.
    pub(super) fn new(inner: S, busy: Arc<AtomicBool>, header: Duration, unread: Duration) -> Self {
        let mut header = Patience::new(header);
        header.begin();
        Self {
            inner,
            busy,
            header,
            unread: Patience::new(unread),
        }
    }

    /// Watches the outcome of an attempt to write.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.unread.lift();
            return outcome;
        }
        self.unread.begin();
        self.unread.check(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.inner).poll_read(context, buffer);
        if this.busy.load(Ordering::Acquire) {
            this.header.lift();
            return outcome;
        }
        match outcome {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                this.header.begin();
                outcome
            }
            Poll::Ready(_) => outcome,
            Poll::Pending => this.header.check(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.written(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const UNREAD: Duration = Duration::from_secs(30);

    fn watched() -> (Watched<DuplexStream>, DuplexStream, Arc<AtomicBool>) {
        let (ours, theirs) = duplex(8);
        let busy = Arc::new(AtomicBool::new(false));
        (
            Watched::new(ours, Arc::clone(&busy), HEADER, UNREAD),
            theirs,
            busy,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_trickles_is_cut_off() {
        let (mut ours, mut theirs, _busy) = watched();
        let started = Instant::now();
        let trickle = tokio::spawn(async move {
            for _ in 0..20 {
                theirs.write_all(b"x").await.unwrap_or_default();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut read = Vec::new();
        let error = ours.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), HEADER);
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_and_idle_connections_are_not() {
        let (mut ours, mut theirs, busy) = watched();
        let mut byte = [0];
        theirs.write_all(b"x").await.unwrap();
        ours.read_exact(&mut byte).await.unwrap();
        busy.store(true, Ordering::Release);
        let send = tokio::spawn(async move {
            tokio::time::sleep(HEADER * 3).await;
            theirs.write_all(b"y").await.unwrap();
            // Idle between requests.
            tokio::time::sleep(HEADER * 3).await;
            theirs.write_all(b"z").await.unwrap();
            theirs
        });
        ours.read_exact(&mut byte).await.unwrap();
        busy.store(false, Ordering::Release);
        ours.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"z");
        drop(send);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (mut ours, _theirs, _busy) = watched();
        let started = Instant::now();
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), UNREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_goes_on_reading_gets_its_answer() {
        let (mut ours, mut theirs, _busy) = watched();
        let reader = tokio::spawn(async move {
            let mut read = [0; 8];
            for _ in 0..10 {
                tokio::time::sleep(UNREAD / 2).await;
                theirs.read_exact(&mut read).await.unwrap();
            }
        });
        ours.write_all(&[0; 80]).await.unwrap();
        reader.await.unwrap();
    }
}
