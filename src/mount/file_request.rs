//! A request about a file of an open archive, until its answer.

use std::sync::Arc;

use super::replies::{Reply, refuse, renew};
use super::served::Served;
use crate::library::File;
use crate::volume::FileError;

/// A request of the kernel about a file or directory of an archive.
pub(super) struct FileRequest<R> {
    /// The name of the request, for the log.
    pub(super) what: &'static str,
    pub(super) served: Arc<Served>,
    pub(super) file: File,
    pub(super) reply: R,
}

impl<R: Reply> FileRequest<R> {
    pub(super) fn new(what: &'static str, served: Arc<Served>, file: File, reply: R) -> Self {
        Self {
            what,
            served,
            file,
            reply,
        }
    }

    /// Replies with the value, or with the errno of the error.
    pub(super) fn answer<T>(self, result: Result<T, FileError>, reply_with: impl FnOnce(R, T)) {
        match result {
            Ok(value) => reply_with(self.reply, value),
            Err(error) => self.reply.fail(refuse(&self.served, &self.file, &error)),
        }
    }

    /// The same in a task, for a value that may have to be waited for.
    pub(super) fn answer_later<T: Send>(
        self,
        result: impl Future<Output = Result<T, FileError>> + Send + 'static,
        reply_with: impl FnOnce(R, T) + Send + 'static,
    ) {
        let served = self.served.clone();
        served.spawn(self.what, async move {
            let result = result.await;
            if let Err(error) = &result {
                renew(&self.served, &self.file, error).await;
            }
            self.answer(result, reply_with);
        });
    }
}
