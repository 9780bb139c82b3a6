//! A plan as text for a terminal, a pipe or a log.

use std::fmt::Write as _;

use super::layout::{left, right, shorten, width, wrap};
use super::style::{Palette, Role};
use super::units;
use super::view::{Detail, DiffLine, Group, Item, Line, Notice, PhaseView, PlanView};

/// Narrowest layout; a narrower terminal wraps lines itself.
const NARROWEST: usize = 80;
/// Widest layout: longer lines are hard to follow.
const WIDEST: usize = 160;
/// Columns where nobody says how many there are.
pub const PIPE: usize = 100;

/// Lines of a file's changes that the default detail shows.
const DIFF_LINES: usize = 24;

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    width: usize,
    palette: Palette,
}

impl Layout {
    /// For a terminal of `width` columns (`None`: no terminal).
    #[must_use]
    pub fn new(width: Option<usize>, palette: Palette) -> Self {
        Self {
            width: width.unwrap_or(PIPE).clamp(NARROWEST, WIDEST),
            palette,
        }
    }

    /// Columns.
    #[must_use]
    pub const fn width(self) -> usize {
        self.width
    }

    /// Colours.
    #[must_use]
    pub const fn palette(self) -> Palette {
        self.palette
    }
}

/// Draws a plan. The text ends with its sum and a line break.
#[must_use]
pub fn plan(view: &PlanView, layout: Layout) -> String {
    let mut page = Page {
        layout,
        detail: view.detail,
        text: String::new(),
    };
    page.heading(view);
    for phase in &view.phases {
        page.phase(phase);
    }
    if let Some(hidden) = &view.hidden {
        page.gap();
        page.paragraph(hidden, 0, Role::Faint);
    }
    if !view.notices.is_empty() {
        page.gap();
        page.notices(&view.notices);
    }
    page.gap();
    if let Some(looked) = &view.looked {
        page.paragraph(looked, 0, Role::Faint);
    }
    if let Some(cost) = &view.cost {
        page.paragraph(cost, 0, Role::Faint);
    }
    if let Some(folded) = &view.folded {
        page.paragraph(folded, 0, Role::Faint);
    }
    page.paragraph(&view.sum, 0, Role::Title);
    page.text
}

struct Page {
    layout: Layout,
    detail: Detail,
    text: String,
}

impl Page {
    fn put(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn paint(&self, role: Role, text: &str) -> String {
        self.layout.palette.paint(role, text).to_string()
    }

    fn paragraph(&mut self, text: &str, indent: usize, role: Role) {
        for line in wrap(text, self.layout.width.saturating_sub(indent)) {
            let line = format!("{}{}", " ".repeat(indent), self.paint(role, &line));
            self.put(&line);
        }
    }

    fn heading(&mut self, view: &PlanView) {
        let (project, rest) = view
            .heading
            .split_first()
            .map_or(("", &[][..]), |(a, b)| (a, b));
        let rest = rest.join(" · ");
        let room = self.layout.width.saturating_sub(width(&rest) + 3);
        let line = format!(
            "{} · {rest}",
            self.paint(Role::Title, &shorten(project, room))
        );
        self.put(&line);
        if self.detail == Detail::Concise || view.legend.is_empty() {
            return;
        }
        let mut line = String::new();
        let mut used = 0;
        for symbol in &view.legend {
            let columns = width(symbol.sign()) + 1 + width(symbol.meaning()) + 3;
            if used > 0 && used + columns > self.layout.width + 3 {
                self.put(&std::mem::take(&mut line));
                used = 0;
            }
            let sign = self.paint(symbol.role(), symbol.sign());
            let _ = write!(line, "{sign} {}   ", symbol.meaning());
            used += columns;
        }
        self.put(&line);
    }

    fn phase(&mut self, phase: &PhaseView) {
        self.gap();
        if phase
            .groups
            .first()
            .is_none_or(|group| group.title.is_none())
        {
            let title = self.paint(Role::Title, phase.phase.word());
            self.put(&title);
        }
        for (at, group) in phase.groups.iter().enumerate() {
            if at > 0 && self.detail != Detail::Concise {
                self.gap();
            }
            self.group(group);
        }
        if let Some((before, after)) = &phase.order {
            self.put("  Nix asks the caches in this order, lower priority first:");
            self.hanging("    now   ", before);
            self.hanging("    then  ", after);
            for because in &phase.order_because {
                self.hanging("    ", because);
            }
        }
    }

    fn hanging(&mut self, head: &str, text: &str) {
        let indent = width(head);
        for (at, line) in wrap(text, self.layout.width.saturating_sub(indent))
            .iter()
            .enumerate()
        {
            let lead = if at == 0 {
                head.to_owned()
            } else {
                " ".repeat(indent)
            };
            self.put(&format!("{lead}{line}"));
        }
    }

    fn group(&mut self, group: &Group) {
        if let Some(title) = &group.title {
            let facts = group.facts.join("   ");
            let room = self.layout.width.saturating_sub(width(&facts) + 2);
            let painted = self.paint(Role::Title, title);
            if width(title) <= room {
                let space = " ".repeat(
                    (room + 2)
                        .saturating_sub(width(title))
                        .min(60 + 2 - width(title).min(60)),
                );
                self.put(&format!("{painted}{space}{facts}"));
            } else {
                self.put(&painted);
                self.put(&format!("    {facts}"));
            }
        }
        if self.detail != Detail::Concise || group.title.is_none() {
            let columns = Columns::of(&group.lines, self.layout.width, self.detail);
            for line in &group.lines {
                self.line(line, &columns);
            }
        }
        if let Some(kept) = &group.kept_back {
            self.paragraph(kept, 4, Role::Faint);
        }
        self.items(&group.kept);
        if group.kept_more > 0 {
            let more = format!("and {} more", units::count(group.kept_more));
            self.paragraph(&more, 8, Role::Faint);
        }
    }

    fn line(&mut self, line: &Line, columns: &Columns) {
        let sign = self.paint(line.symbol.role(), line.symbol.sign());
        let label = if self.detail == Detail::Full {
            line.label.clone()
        } else {
            shorten(&line.label, columns.label)
        };
        let mut cells = vec![left(&label, columns.label)];
        for (cell, column) in [(&line.remark, columns.remark)] {
            if column > 0 {
                cells.push(left(cell, column));
            }
        }
        for (cell, column) in [(&line.count, columns.count), (&line.bytes, columns.bytes)] {
            if column > 0 {
                cells.push(right(cell, column));
            }
        }
        if columns.place > 0 {
            cells.push(left(&line.place, columns.place));
        }
        let row = cells.join("  ");
        let note = if self.detail == Detail::Concise {
            ""
        } else {
            line.note.as_str()
        };
        let used = 4 + width(&row) + 2;
        if note.is_empty() {
            self.put(&format!("  {sign} {row}"));
        } else if used + width(note) <= self.layout.width {
            self.put(&format!(
                "  {sign} {row}  {}",
                self.paint(Role::Faint, note)
            ));
        } else {
            self.put(&format!("  {sign} {row}"));
            self.paragraph(note, 6, Role::Faint);
        }
        if self.detail == Detail::Full {
            for print in &line.fine_print {
                self.paragraph(print, 6, Role::Faint);
            }
        }
        if self.detail != Detail::Concise {
            self.diff(&line.diff);
        }
        if self.detail == Detail::Full {
            self.items(&line.items);
        }
    }

    fn diff(&mut self, lines: &[DiffLine]) {
        let shown = if self.detail == Detail::Full {
            lines.len()
        } else {
            DIFF_LINES
        };
        for line in lines.iter().take(shown) {
            let room = self.layout.width.saturating_sub(10);
            // A key or URL that somebody is asked to trust has to be read whole: broken, not shortened.
            let rows = if self.detail == Detail::Full || width(&line.text) <= room {
                vec![line.text.clone()]
            } else {
                let rows = wrap(&line.text, room.saturating_sub(2));
                rows.iter()
                    .map(|row| shorten(row, room.saturating_sub(2)))
                    .collect()
            };
            let role = match line.sign {
                '+' => Role::Create,
                '-' => Role::Delete,
                _ => Role::Faint,
            };
            for (number, text) in rows.iter().enumerate() {
                let sign = if number == 0 {
                    format!("{} ", line.sign)
                } else {
                    "    ".to_owned()
                };
                let row = self.paint(role, &format!("{sign}{text}"));
                self.put(&format!("        {row}"));
            }
        }
        if lines.len() > shown {
            let more = units::things((lines.len() - shown) as u64, "more line");
            self.paragraph(&format!("… {more}, shown by --full"), 8, Role::Faint);
        }
    }

    fn items(&mut self, items: &[Item]) {
        let bytes = items
            .iter()
            .map(|item| width(&item.bytes))
            .max()
            .unwrap_or(0);
        for item in items {
            let sign = self.paint(item.symbol.role(), item.symbol.sign());
            let room = self.layout.width.saturating_sub(8 + 2 + bytes + 2);
            let text = if self.detail == Detail::Full {
                item.text.clone()
            } else {
                shorten(&item.text, room)
            };
            let size = right(&item.bytes, bytes);
            let row = if bytes == 0 {
                text
            } else {
                format!("{size}  {text}")
            };
            let used = 8 + width(&row) + 2;
            if item.note.is_empty() {
                self.put(&format!("      {sign} {row}"));
            } else if used + width(&item.note) <= self.layout.width {
                self.put(&format!(
                    "      {sign} {row}  {}",
                    self.paint(Role::Faint, &item.note)
                ));
            } else {
                self.put(&format!("      {sign} {row}"));
                let indent = if bytes == 0 { 10 } else { 10 + bytes + 2 };
                self.paragraph(&item.note, indent, Role::Faint);
            }
        }
    }

    /// The box that nobody can miss.
    fn notices(&mut self, notices: &[Notice]) {
        let role = notices
            .iter()
            .map(|notice| notice.symbol)
            .max()
            .map_or(Role::Advice, super::view::Symbol::role);
        let bar = self.paint(role, "┃");
        let counted = title(notices);
        let line = "━".repeat(self.layout.width.saturating_sub(width(&counted) + 5));
        let head = self.paint(role, &format!("┏━ {counted} {line}"));
        self.put(&head);
        for notice in notices {
            let sign = self.paint(notice.symbol.role(), notice.symbol.sign());
            let about = self.paint(Role::Title, &notice.about);
            let place = if notice.place.is_empty() {
                String::new()
            } else {
                format!("  ({})", notice.place)
            };
            self.put(&format!("{bar} {sign} {about}{place}"));
            let mut body = wrap(&notice.text, self.layout.width.saturating_sub(6));
            // The way out of a refusal is never left out: without it nothing can be applied.
            let is_refusal = notice.symbol == super::view::Symbol::Refusal;
            if !notice.help.is_empty() && (self.detail != Detail::Concise || is_refusal) {
                body.extend(wrap(
                    &format!("→ {}", notice.help),
                    self.layout.width.saturating_sub(6),
                ));
            }
            for line in body {
                self.put(&format!("{bar}     {line}"));
            }
            if self.detail != Detail::Concise {
                for line in &notice.lines {
                    // Lines to copy are never shortened.
                    self.put(&format!("{bar}         {line}"));
                }
            }
        }
        let bottom = format!("┗{}", "━".repeat(self.layout.width.saturating_sub(1)));
        let bottom = self.paint(role, &bottom);
        self.put(&bottom);
    }
}

/// How many of what, for the box.
pub(super) fn title(notices: &[Notice]) -> String {
    let mut title = String::new();
    for symbol in [
        super::view::Symbol::Error,
        super::view::Symbol::Refusal,
        super::view::Symbol::Unknown,
        super::view::Symbol::Advice,
    ] {
        let number = notices
            .iter()
            .filter(|notice| notice.symbol == symbol)
            .count();
        if number > 0 {
            let gap = if title.is_empty() { "" } else { " · " };
            let _ = write!(
                title,
                "{gap}{} {}{}",
                units::count(number as u64),
                symbol.meaning(),
                if symbol == super::view::Symbol::Error && number > 1 {
                    "s"
                } else {
                    ""
                }
            );
        }
    }
    title
}

/// Widths of the columns of a group.
struct Columns {
    label: usize,
    remark: usize,
    count: usize,
    bytes: usize,
    place: usize,
}

impl Columns {
    fn of(lines: &[Line], total: usize, detail: Detail) -> Self {
        let widest = |cell: fn(&Line) -> &String| {
            lines
                .iter()
                .map(|line| width(cell(line)))
                .max()
                .unwrap_or(0)
        };
        let remark = widest(|line| &line.remark);
        let count = widest(|line| &line.count);
        let bytes = widest(|line| &line.bytes);
        let place = widest(|line| &line.place);
        let gaps = [remark, count, bytes, place]
            .iter()
            .filter(|column| **column > 0)
            .count()
            * 2;
        let others = remark + count + bytes + place + gaps + 4;
        let label = widest(|line| &line.label);
        let room = total.saturating_sub(others).max(16);
        let label = if detail == Detail::Full {
            label
        } else {
            label.min(room)
        };
        Self {
            label,
            remark,
            count,
            bytes,
            place,
        }
    }
}
