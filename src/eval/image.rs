//! Container image references, as `docker.allow` compares them (reference section 6).
//!
//! A reference is `[https://] [registry/] repository [:tag] [@digest]`. Without a registry it is Docker Hub's, there
//! one without an owner is of `library`, and without a tag and digest it is `latest`. An asserted value can also be
//! `*` (everything), end in `/*` (everything below) or in `:*` (every tag and digest of the repository).

/// A registry under any of its names.
const HUB: &str = "docker.io";
const HUB_NAMES: &[&str] = &["docker.io", "index.docker.io", "registry-1.docker.io"];

/// An image, everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image<'a> {
    // `http://` is another registry than `https://`: anyone on the way can answer for it.
    insecure: bool,
    registry: &'a str,
    // INVARIANT (path): segments of the repository, none empty.
    repository: Vec<&'a str>,
    version: Version<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version<'a> {
    Tag(&'a str),
    /// With a digest the tag says nothing: what is run is what has the digest.
    Digest(&'a str),
}

/// What an asserted value lets through.
enum Allowed<'a> {
    All,
    Below(Image<'a>),
    Versions(Image<'a>),
    One(Image<'a>),
}

/// Whether the asserted value covers the wanted image; never where one of them is no reference.
pub(crate) fn covers(asserted: &str, wanted: &str) -> bool {
    let (Some(allowed), Some(wanted)) = (Allowed::parse(asserted), Image::parse(wanted)) else { return false };
    match allowed {
        Allowed::All => true,
        Allowed::One(image) => image == wanted,
        Allowed::Versions(image) => image.same_place(&wanted) && image.repository == wanted.repository,
        Allowed::Below(image) => {
            image.same_place(&wanted)
                && image.repository.len() < wanted.repository.len()
                && wanted.repository.starts_with(&image.repository)
        }
    }
}

impl<'a> Allowed<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(place) = text.strip_suffix("/*") {
            // In front of `/*` a host alone is a registry, not a repository of that name.
            return Image::parse_place(place, true).map(Self::Below);
        }
        if let Some(repository) = text.strip_suffix(":*") {
            let image = Image::parse(repository)?;
            // A version in front of `:*` would be one too many.
            let plain = !repository.contains('@') && image.version == Version::Tag("latest");
            return (plain && !has_tag(repository)).then_some(Self::Versions(image));
        }
        Image::parse(text).map(Self::One)
    }
}

impl<'a> Image<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            Some(_) | None => (name, None),
        };
        if tag.is_some_and(|it| !is_tag(it)) {
            return None;
        }
        let version = match digest {
            Some(digest) if is_digest(digest) => Version::Digest(digest),
            Some(_) => return None,
            None => Version::Tag(tag.unwrap_or("latest")),
        };
        let mut image = Self { version, ..Self::parse_place(name, false)? };
        if image.registry == HUB && image.repository.len() == 1 {
            image.repository.insert(0, "library");
        }
        (!image.repository.is_empty()).then_some(image)
    }

    /// A registry, or a part of one.
    fn parse_place(text: &'a str, is_prefix: bool) -> Option<Self> {
        let (insecure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => (false, text),
        };
        let has_scheme = rest.len() < text.len();
        let (first, more) = match rest.split_once('/') {
            Some((first, more)) => (first, Some(more)),
            None => (rest, None),
        };
        // As docker has it: a host has a dot or a port, or is `localhost`. One word alone is a repository.
        let is_host = has_scheme || first == "localhost" || first.contains(['.', ':']);
        let (registry, path) = match more {
            None if has_scheme || (is_prefix && is_host) => (first, None),
            Some(more) if is_host => (first, Some(more)),
            Some(_) | None => (HUB, Some(rest)),
        };
        let registry = if HUB_NAMES.contains(&registry) { HUB } else { registry };
        let repository: Vec<&str> = path.map(|it| it.split('/').collect()).unwrap_or_default();
        let good = is_registry(registry) && repository.iter().all(|it| is_repository(it));
        good.then_some(Self { insecure, registry, repository, version: Version::Tag("latest") })
    }

    fn same_place(&self, other: &Self) -> bool {
        (self.insecure, self.registry) == (other.insecure, other.registry)
    }
}

fn has_tag(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(_, tag)| !tag.contains('/'))
}

fn is_registry(text: &str) -> bool {
    has_plain_ends(text)
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-:".contains(&it))
}

fn is_repository(text: &str) -> bool {
    has_plain_ends(text)
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it))
}

fn has_plain_ends(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain)
}

fn is_tag(text: &str) -> bool {
    let word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    text.bytes().next().is_some_and(word) && text.bytes().all(|it| word(it) || b".-".contains(&it))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && !hex.is_empty()
            && algorithm.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
            && hex.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    })
}

#[cfg(test)]
mod tests {
    use crate::eval::image::covers;

    #[test]
    fn defaults_are_filled_in_on_both_sides() {
        let names = [
            "nginx",
            "nginx:latest",
            "library/nginx",
            "docker.io/nginx",
            "docker.io/library/nginx:latest",
            "https://registry-1.docker.io/library/nginx:latest",
            "https://index.docker.io/nginx",
        ];
        for asserted in names {
            for wanted in names {
                assert!(covers(asserted, wanted), "{asserted} {wanted}");
            }
        }
    }

    #[test]
    fn another_image_is_not_covered() {
        for (asserted, wanted) in [
            ("nginx", "nginx:1.27"),
            ("nginx", "nginx-evil"),
            ("nginx", "tom/nginx"),
            ("nginx", "quay.io/nginx"),
            ("nginx", "quay.io/library/nginx"),
            ("nginx", "http://docker.io/library/nginx"),
            ("quay.io/acme/web", "quay.io/acme/web/evil"),
            ("quay.io/acme/*", "quay.io/acme-evil/web"),
            ("quay.io/acme/*", "quay.io/acme"),
            ("quay.io/*", "quay.io.evil.com/web"),
            ("quay.io/*", "http://quay.io/web"),
            ("nginx:*", "nginx/evil:1"),
            ("nginx:1:*", "nginx:1"),
            ("nginx:1.27", "nginx:1.27@sha256:ab"),
            ("nginx@sha256:ab", "nginx@sha256:ac"),
            ("nginx*", "nginx2"),
            ("*nginx", "nginx"),
            ("*", ""),
            ("*", "NGINX"),
            ("*", "a/../b"),
            ("*", "../x"),
            ("*", ":80/x"),
            ("*", "a//b"),
            ("*", "a b"),
            ("*", "*"),
            ("", ""),
            ("quay.io", "quay.io/web"),
            ("https://quay.io", "quay.io/web"),
        ] {
            assert!(!covers(asserted, wanted), "{asserted:?} {wanted:?}");
        }
    }

    #[test]
    fn stars_cover_what_lies_below() {
        for (asserted, wanted) in [
            ("*", "nginx"),
            ("*", "localhost:5000/a/b@sha256:00ff"),
            ("quay.io/*", "quay.io/acme/web:1"),
            ("https://quay.io/*", "quay.io/web"),
            ("quay.io/acme/*", "quay.io/acme/team/web:2"),
            ("docker.io/*", "nginx:1"),
            ("library/*", "nginx:1"),
            ("nginx:*", "nginx:1.27"),
            ("nginx:*", "docker.io/library/nginx@sha256:ab"),
            ("localhost:5000/web:*", "localhost:5000/web:3"),
            ("nginx:1@sha256:ab", "nginx@sha256:ab"),
        ] {
            assert!(covers(asserted, wanted), "{asserted:?} {wanted:?}");
        }
    }
}
