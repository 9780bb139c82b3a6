use super::*;
use crate::plan::testing::{desired, world};
use crate::render::html;
use crate::render::html::Kind;

const SECTIONS: &str = "artifacts:
  gold: { priority: 100, retention: 100d, outputs: ['.#a', '.#b'] }
  dust: { priority: 10, retention: 10d, default: true }
push: { to: { dev: [gold] } }";

fn shown(hidden: bool, advice: &[Recommendation]) -> String {
    let mut world = world()
        .with_store(&["a 10 lib", "lib 5", "b 10"])
        .with_cached(1, &["a 10 lib", "lib 5"])
        .with_output(".#a", &["a"])
        .with_output(".#b", &["b"]);
    if hidden {
        world = world.hide("dev");
    }
    let desired = desired(SECTIONS);
    let plan = world.plan(&desired);
    let status = crate::insight::status::status(&desired, &world.observe(&desired), &plan);
    html::page(&page(&Overview {
        status: Some(&status),
        plan: Some(&plan),
        advice,
        ..Overview::default()
    }))
}

#[test]
fn the_page_says_where_things_are_and_what_is_pending() {
    let html = shown(false, &[]);
    for text in [
        ">dev (tier 3)</th>",
        "<th scope=\"row\">.#a</th>",
        "✓ there</td>",
        "… to push</td>",
        "<th scope=\"row\">x86_64-linux</th><td>1 of 2</td>",
        "push → dev (file, tier 3, this machine)",
        "aria-label=\"The plan, as a text to copy\"",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert!(
        !html.contains("id=\"advice\"") && !html.contains("id=\"unknowns\""),
        "{html}"
    );
}

#[test]
fn what_was_not_seen_is_no_zero() {
    let html = shown(true, &[]);
    assert!(
        html.contains("id=\"unknowns\"") && html.contains("not seen: "),
        "{html}"
    );
    assert!(
        html.contains("? unknown</td>") && !html.contains("<td>0"),
        "{html}"
    );
    assert!(html.contains("card missed\"><dt>Not seen</dt>"), "{html}");
}

#[test]
fn advice_is_shown_with_its_diff_and_escaped() {
    let html = shown(
        false,
        &[Recommendation {
            title: "Keep <gold> longer".to_owned(),
            effect: "3 builds fewer & 2 GiB more".to_owned(),
            diff: "-  retention: 10d\n+  retention: 20d\n".to_owned(),
        }],
    );
    assert!(
        html.contains("<h3>Keep &lt;gold&gt; longer</h3>\n<p>3 builds fewer &amp; 2 GiB more</p>"),
        "{html}"
    );
    assert!(
        html.contains(">-  retention: 10d\n+  retention: 20d\n</pre>"),
        "{html}"
    );
}

#[test]
fn the_table_below_a_chart_says_what_it_shows() {
    let chart = Chart {
        kind: Kind::Lines,
        points: vec!["one".to_owned(), "two".to_owned()],
        series: vec![
            html::Series {
                name: "dev".to_owned(),
                values: vec![Some(0.5), None],
            },
            html::Series {
                name: "up".to_owned(),
                values: vec![Some(1.0)],
            },
        ],
        target: None,
        unit: html::Unit::Share,
    };
    let section = charted("hits", "Hits", "", "run", chart);
    assert_eq!(section.table.head, ["run", "dev", "up"]);
    assert_eq!(
        section.table.rows,
        [["one", "50%", "100%"], ["two", "not known", "not known"]]
    );
}
