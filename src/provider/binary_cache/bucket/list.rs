//! Listings, page by page.

use std::sync::Arc;

use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta};

use super::object::meta_of;
use super::{BucketStore, Inner};
use crate::plan::record::FOLDER;
use crate::provider::binary_cache::{Area, Listed, StoreError};

/// How often a page is asked for that broke off on its way.
const PAGES: usize = 3;

/// A page as long as this may be one that was cut: no storage gives more at once unless it is asked to.
const PAGE: usize = 1000;

/// What is listed.
#[derive(Clone, Debug)]
struct Part {
    /// What the keys begin with, below the prefix of the cache; empty, or ending in `/`.
    below: String,
    /// Whether what lies deeper is left out.
    flat: bool,
}

impl Part {
    fn flat(below: impl Into<String>) -> Self {
        Self {
            below: below.into(),
            flat: true,
        }
    }

    fn deep(below: impl Into<String>) -> Self {
        Self {
            below: below.into(),
            flat: false,
        }
    }
}

impl BucketStore {
    pub(super) fn list_area(
        &self,
        area: Area,
        each: &mut dyn FnMut(Listed<'_>),
    ) -> Result<(), StoreError> {
        let parts = match area {
            Area::Top => vec![Part::flat("")],
            Area::Nars => vec![Part::flat("nar/")],
            Area::Intents => vec![Part::flat(format!("{FOLDER}/intents/"))],
            Area::Prunes => vec![Part::flat(format!("{FOLDER}/prunes/"))],
            Area::Roots => vec![Part::deep(format!("{FOLDER}/roots/"))],
            Area::Pins => vec![Part::deep(format!("{FOLDER}/pins/"))],
            Area::Runs => vec![Part::deep(format!("{FOLDER}/runs/"))],
            Area::Realisations => vec![Part::flat("realisations/"), Part::deep("build-trace-v2/")],
            Area::Debug => vec![Part::deep("debuginfo/")],
            // Whoever dies while writing leaves nothing that a listing shows.
            Area::Strays => return Ok(()),
            Area::Versions => return self.versions(each),
        };
        for part in parts {
            self.pages(&part, &mut |page| {
                for object in page.objects {
                    if let Some(key) = self.key(&part, &object) {
                        let meta = Some(meta_of(&object));
                        each(Listed { key, meta });
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Whether there is any object of the cache, and so the bucket.
    pub(super) fn has_any(&self) -> Result<bool, StoreError> {
        let mut any = false;
        let part = Part::deep("");
        self.some_pages(&part, Some(1), &mut |page| {
            any |= !page.objects.is_empty();
            false
        })?;
        Ok(any)
    }

    fn versions(&self, each: &mut dyn FnMut(Listed<'_>)) -> Result<(), StoreError> {
        self.pages(&Part::flat("nanna-cache/"), &mut |page| {
            for folder in page.common_prefixes {
                if let Some(key) = folder.as_ref().strip_prefix(&self.inner.prefix) {
                    let key = format!("{}/", key.trim_end_matches('/'));
                    each(Listed {
                        key: &key,
                        meta: None,
                    });
                }
            }
        })
    }

    /// The key of an object in the cache. Some storages list a folder as an object of its own: it is none.
    fn key<'o>(&self, part: &Part, object: &'o ObjectMeta) -> Option<&'o str> {
        let key = object.location.as_ref().strip_prefix(&self.inner.prefix)?;
        let name = key.strip_prefix(&part.below)?;
        (!name.is_empty()).then_some(key)
    }

    fn pages(&self, part: &Part, take: &mut dyn FnMut(ListResult)) -> Result<(), StoreError> {
        self.some_pages(part, None, &mut |page| {
            take(page);
            true
        })
    }

    /// Gives page after page to `take`, until it answers `false`.
    ///
    /// A page without a token is taken for the last only if it cannot be one that was cut: those that
    /// are as long as a cut one are followed by the question for what comes after their last key.
    fn some_pages(
        &self,
        part: &Part,
        most: Option<usize>,
        take: &mut dyn FnMut(ListResult) -> bool,
    ) -> Result<(), StoreError> {
        let mut from = From::Begin;
        let mut first: Option<Path> = None;
        let mut longest = 0;
        loop {
            let (inner, asked, at) = (Arc::clone(&self.inner), part.clone(), from.clone());
            let page = Self::run("list", &part.below, async move {
                inner.page(&asked, at, most).await
            })?;
            let begins = page.result.objects.first().map(|one| one.location.clone());
            let repeats = match &from {
                From::Begin => false,
                From::Token(token) => page.page_token.as_ref() == Some(token),
                From::After(last) => {
                    let objects = page.result.objects.iter();
                    objects
                        .map(|one| one.location.as_ref())
                        .any(|key| key <= last.as_str())
                }
            };
            if repeats || (begins.is_some() && begins == first) {
                let why = "the storage repeats a page, so what it lists cannot be relied on";
                return Err(StoreError::refused("list", part.below.clone(), why));
            }
            first = begins.or(first);
            let count = page.result.objects.len() + page.result.common_prefixes.len();
            let may_be_cut = count >= PAGE || (count > 0 && count == longest);
            longest = longest.max(count);
            from = match page.page_token {
                Some(token) => From::Token(token),
                None if may_be_cut && self.inner.goes_on_after_a_key => {
                    let objects = page.result.objects.iter().map(|one| &one.location);
                    match objects.max() {
                        Some(last) => From::After(last.to_string()),
                        None => From::Begin,
                    }
                }
                None => From::Begin,
            };
            if !take(page.result) || matches!(from, From::Begin) {
                return Ok(());
            }
        }
    }
}

/// Where a page begins.
#[derive(Clone, Debug)]
enum From {
    Begin,
    /// Where the storage said that the page before it ended.
    Token(String),
    /// After this key.
    After(String),
}

impl Inner {
    async fn page(
        &self,
        part: &Part,
        from: From,
        most: Option<usize>,
    ) -> Result<PaginatedListResult, StoreError> {
        let prefix = format!("{}{}", self.prefix, part.below);
        let Some(pages) = &self.pages else {
            return self.whole(&prefix, part.flat).await;
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let (page_token, offset) = match from.clone() {
                From::Begin => (None, None),
                From::Token(token) => (Some(token), None),
                From::After(key) => (None, Some(key)),
            };
            let options = PaginatedListOptions {
                delimiter: part.flat.then_some("/".into()),
                page_token,
                offset,
                max_keys: most,
                ..PaginatedListOptions::default()
            };
            let prefix = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
            let page = pages.list_paginated(prefix, options);
            let Ok(page) = tokio::time::timeout(self.whole, page).await else {
                let what = if part.below.is_empty() {
                    &self.bucket
                } else {
                    &part.below
                };
                return Err(StoreError::refused(
                    "list",
                    what.clone(),
                    super::fault::late(),
                ));
            };
            match page {
                Ok(page) => return Ok(page),
                Err(error) if tries < PAGES && super::fault::is_cut(&error) => {}
                Err(error) => return Err(self.read_fault("list", &part.below, &error)),
            }
        }
    }

    /// All at once, where there are no pages.
    async fn whole(&self, prefix: &str, flat: bool) -> Result<PaginatedListResult, StoreError> {
        use futures_util::TryStreamExt as _;
        let path = Path::from(prefix);
        let path = (!prefix.is_empty()).then_some(&path);
        let result = if flat {
            self.store.list_with_delimiter(path).await
        } else {
            let all = self.store.list(path).try_collect().await;
            all.map(|objects| ListResult {
                objects,
                common_prefixes: Vec::new(),
                extensions: object_store::Extensions::default(),
            })
        };
        Ok(PaginatedListResult {
            result: result.map_err(|error| self.read_fault("list", prefix, &error))?,
            page_token: None,
        })
    }
}
