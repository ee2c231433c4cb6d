//! Credentials that are loaded once, and renewed before they expire.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqsign_core::time::Timestamp;
use reqsign_core::{Context, ProvideCredential, ProvideCredentialDyn, SigningCredential};

use super::context::context;
use crate::http::Clients;

/// Credentials are renewed in the background when less than this is left of them, so that no request waits.
/// Services that give temporary credentials have new ones by then (AWS, "Retrieve security credentials from
/// instance metadata": "at least five minutes before").
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Credentials with less time left than this are not used. The signatures' own checks ask for 20 s.
const LEAST_LEFT: Duration = Duration::from_secs(30);

/// See [`Keys::retry`].
const RETRY: Duration = Duration::from_secs(20);

/// One place where credentials may be.
pub(super) struct Place<K> {
    /// Where, as in "the credentials come from ...".
    pub(super) name: String,
    pub(super) context: Context,
    pub(super) provider: Arc<dyn ProvideCredentialDyn<Credential = K>>,
    /// An error means that there are none here. Otherwise an error ends the search: a user
    /// who configured a place does not want the credentials of another.
    pub(super) is_optional: bool,
}

impl<K: SigningCredential> Place<K> {
    /// A place at which an error ends the search.
    pub(super) fn new(
        name: &str,
        clients: &Clients,
        provider: impl ProvideCredential<Credential = K>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            context: context(clients),
            provider: Arc::new(provider),
            is_optional: false,
        }
    }

    /// A place that need not exist.
    pub(super) fn optional(
        name: &str,
        clients: &Clients,
        provider: impl ProvideCredential<Credential = K>,
    ) -> Self {
        Self {
            is_optional: true,
            ..Self::new(name, clients, provider)
        }
    }
}

/// The credentials for a store.
pub(super) struct Keys<K> {
    places: Vec<Place<K>>,
    held: Mutex<Option<Held<K>>>,
    /// Only one request at a time loads credentials.
    loading: tokio::sync::Mutex<()>,
    /// How often a renewal in the background is tried.
    retry: Duration,
    is_renewing: AtomicBool,
}

struct Held<K> {
    keys: K,
    from: String,
    since: Instant,
}

/// Why there are no credentials, as a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoKeys(pub(super) String);

impl<K: SigningCredential> Keys<K> {
    /// Searches `places` in this order when credentials are first needed.
    pub(super) fn new(places: Vec<Place<K>>) -> Arc<Self> {
        Self::retrying(places, RETRY)
    }

    fn retrying(places: Vec<Place<K>>, retry: Duration) -> Arc<Self> {
        Arc::new(Self {
            places,
            retry,
            held: Mutex::new(None),
            loading: tokio::sync::Mutex::new(()),
            is_renewing: AtomicBool::new(false),
        })
    }

    /// Credentials that are valid for a while. Waits only for the first ones, and for new ones after the old
    /// ones have expired.
    pub(super) async fn get(self: &Arc<Self>) -> Result<K, NoKeys> {
        match self.valid_for(LEAST_LEFT) {
            Some((keys, since)) => {
                if since.elapsed() >= self.retry && self.valid_for(RENEW_BEFORE).is_none() {
                    self.renew_in_background();
                }
                Ok(keys)
            }
            None => self.load().await,
        }
    }

    /// Gives up the credentials that a request of `asked` used, because the store refused them.
    pub(super) fn give_up(&self, asked: Instant) {
        self.held().take_if(|held| held.since <= asked);
    }

    /// Where the credentials come from.
    pub(super) fn origin(&self) -> Option<String> {
        self.held().as_ref().map(|held| held.from.clone())
    }

    fn valid_for(&self, left: Duration) -> Option<(K, Instant)> {
        let held = self.held();
        let held = held.as_ref()?;
        let is_valid = held.keys.is_valid_at(Timestamp::now() + left);
        is_valid.then(|| (held.keys.clone(), held.since))
    }

    fn renew_in_background(self: &Arc<Self>) {
        if self.is_renewing.swap(true, SeqCst) {
            return;
        }
        let renewed = self.clone();
        tokio::spawn(async move {
            if let Err(why) = renewed.search().await {
                log::warn!("credentials are not renewed, and will be tried again: {why}");
                if let Some(held) = &mut *renewed.held() {
                    held.since = Instant::now();
                }
            }
            renewed.is_renewing.store(false, SeqCst);
        });
    }

    async fn load(&self) -> Result<K, NoKeys> {
        let _only = self.loading.lock().await;
        // Another request may have loaded them.
        if let Some((keys, _)) = self.valid_for(LEAST_LEFT) {
            return Ok(keys);
        }
        self.search().await
    }

    async fn search(&self) -> Result<K, NoKeys> {
        for place in &self.places {
            let since = Instant::now();
            match place.provider.provide_credential_dyn(&place.context).await {
                // Variables that are set and empty.
                Ok(Some(keys)) if !keys.is_valid_at(Timestamp::default()) => {}
                Ok(Some(keys)) => {
                    if !keys.is_valid_at(Timestamp::now()) {
                        return Err(NoKeys(format!(
                            "the credentials from {} have expired",
                            place.name
                        )));
                    }
                    log::debug!("credentials: {}", place.name);
                    *self.held() = Some(Held {
                        keys: keys.clone(),
                        from: place.name.clone(),
                        since,
                    });
                    return Ok(keys);
                }
                Ok(None) => {}
                Err(e) if place.is_optional => {
                    log::debug!("credentials: none from {}: {}", place.name, one_line(&e));
                }
                Err(e) => {
                    let why = one_line(&e);
                    return Err(NoKeys(format!("no credentials from {}: {why}", place.name)));
                }
            }
        }
        let names: Vec<&str> = self.places.iter().map(|place| &*place.name).collect();
        Err(NoKeys(format!(
            "there are no credentials; looked in {}; if the object is public, give --anonymous",
            names.join(", ")
        )))
    }

    fn held(&self) -> MutexGuard<'_, Option<Held<K>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library's message without its context.
fn one_line(error: &reqsign_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqsign_core::{Error, Result};
    use std::sync::atomic::AtomicU32;

    /// A key with a number, and the second since 1970 at which it expires.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Key(u32, i64);

    impl SigningCredential for Key {
        fn is_valid(&self) -> bool {
            true
        }

        fn is_valid_at(&self, time: Timestamp) -> bool {
            self.0 > 0 && time.as_second() < self.1
        }
    }

    /// Gives keys 1, 2, 3 and so on, each valid for `lasts` seconds; an error instead of the `fails`th.
    #[derive(Debug, Default)]
    struct Service {
        given: AtomicU32,
        lasts: i64,
        fails: u32,
    }

    impl ProvideCredential for Service {
        type Credential = Key;

        async fn provide_credential(&self, _: &Context) -> Result<Option<Key>> {
            tokio::task::yield_now().await;
            match self.given.fetch_add(1, SeqCst) + 1 {
                number if number == self.fails => Err(Error::unexpected("no answer")),
                number => Ok(Some(Key(number, Timestamp::now().as_second() + self.lasts))),
            }
        }
    }

    fn keys(service: &Arc<Service>, is_optional: bool) -> Arc<Keys<Key>> {
        let place = Place {
            name: "the service".into(),
            context: Context::new(),
            provider: service.clone(),
            is_optional,
        };
        Keys::retrying(vec![place], Duration::ZERO)
    }

    async fn number(keys: &Arc<Keys<Key>>) -> u32 {
        keys.get().await.expect("a key").0
    }

    /// Waits until tasks in the background have ended.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn credentials_are_loaded_once() {
        let service = Arc::new(Service {
            lasts: 3600,
            ..Service::default()
        });
        let keys = keys(&service, false);
        let both = tokio::join!(keys.get(), keys.get());
        assert_eq!((both.0.expect("a key").0, both.1.expect("a key").0), (1, 1));
        assert_eq!(number(&keys).await, 1);
    }

    #[tokio::test]
    async fn credentials_that_expire_soon_are_renewed_while_the_old_ones_are_used() {
        let service = Arc::new(Service {
            lasts: 100,
            fails: 2,
            ..Service::default()
        });
        let keys = keys(&service, false);
        assert_eq!(number(&keys).await, 1);
        assert_eq!(number(&keys).await, 1, "nobody waits");
        settle().await; // The renewal fails, and the old ones are kept.
        assert_eq!(number(&keys).await, 1);
        settle().await;
        assert_eq!(number(&keys).await, 3);
    }

    #[tokio::test]
    async fn expired_credentials_are_not_used() {
        let service = Arc::new(Service {
            lasts: 10,
            ..Service::default()
        });
        let keys = keys(&service, false);
        assert_eq!(number(&keys).await, 1);
        assert_eq!(
            number(&keys).await,
            2,
            "10 s are too little to use the first"
        );
    }

    #[tokio::test]
    async fn refused_credentials_are_given_up_once() {
        let service = Arc::new(Service {
            lasts: 3600,
            ..Service::default()
        });
        let keys = keys(&service, false);
        assert_eq!(number(&keys).await, 1);
        let asked = Instant::now();
        keys.give_up(asked);
        assert_eq!(number(&keys).await, 2);
        keys.give_up(asked); // Another request that was sent at the same time.
        assert_eq!(number(&keys).await, 2);
    }

    #[tokio::test]
    async fn an_error_ends_the_search_unless_the_place_is_optional() {
        let failing = || {
            Arc::new(Service {
                fails: 1,
                ..Service::default()
            })
        };
        let told = keys(&failing(), false).get().await.expect_err("none").0;
        assert!(told.contains("no credentials from the service"), "{told}");
        let told = keys(&failing(), true).get().await.expect_err("none").0;
        assert!(told.contains("looked in the service"), "{told}");
    }
}
