//! Paths as a person would write them: `~` for the home folder.

use super::PlanView;

impl PlanView {
    /// The same with `~` for the home folder, in labels and sentences. What is to be copied into a file,
    /// and what stands in one, stays as it is: nothing but a shell knows `~`.
    #[must_use]
    pub fn with_home(mut self, home: &str) -> Self {
        let groups = self.phases.iter_mut().flat_map(|phase| &mut phase.groups);
        for line in groups.flat_map(|group| &mut group.lines) {
            line.label = tilde(&line.label, home);
        }
        for notice in &mut self.notices {
            for text in [&mut notice.about, &mut notice.text, &mut notice.help] {
                *text = tilde(text, home);
            }
        }
        self.sum = tilde(&self.sum, home);
        self
    }
}

/// A text with `~` in the place of `home` where a path in it begins with that folder.
#[must_use]
pub fn tilde(text: &str, home: &str) -> String {
    let home = home.trim_end_matches('/');
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(home).filter(|_| !home.is_empty()) {
        let before = text[..at].chars().next_back();
        let after = text[at + home.len()..].chars().next();
        let starts = before.is_none_or(|c| c.is_whitespace() || "`'\"(".contains(c));
        let ends = after.is_none_or(|c| c == '/' || !(c.is_alphanumeric() || "._-".contains(c)));
        if at >= done && starts && ends {
            out.push_str(&text[done..at]);
            out.push('~');
            done = at + home.len();
        }
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::tilde;

    #[test]
    fn only_paths_that_begin_so() {
        for (text, shown) in [
            ("/home/me/.config/nix", "~/.config/nix"),
            (
                "read `/home/me/a b`: no, `/home/me`",
                "read `~/a b`: no, `~`",
            ),
            ("/home/meg/x /home/me.old", "/home/meg/x /home/me.old"),
            (
                "file:///home/me/cache /srv/home/me/x",
                "file:///home/me/cache /srv/home/me/x",
            ),
            ("/home/me", "~"),
            ("nothing", "nothing"),
        ] {
            for home in ["/home/me", "/home/me/"] {
                assert_eq!(tilde(text, home), shown);
            }
            assert_eq!(tilde(text, ""), text);
            assert_eq!(tilde(text, "/"), text);
        }
    }
}
