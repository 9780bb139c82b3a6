use super::*;

fn lines(values: &[Option<f64>]) -> Chart {
    Chart {
        kind: Kind::Lines,
        points: (0..values.len()).map(|at| format!("run {at}")).collect(),
        series: vec![Series {
            name: "hits".to_owned(),
            values: values.to_vec(),
        }],
        target: Some((0.85, "target".to_owned())),
        unit: Unit::Share,
    }
}

fn shown(chart: Chart) -> String {
    page(&Page {
        title: "demo <script>alert('x')</script>".to_owned(),
        subtitle: "a & b".to_owned(),
        cards: vec![Card {
            label: "Hit rate".to_owned(),
            value: "91 %".to_owned(),
            note: "target 85 %".to_owned(),
            state: CardState::Met,
        }],
        sections: vec![Section {
            id: "hits".to_owned(),
            title: "Hits".to_owned(),
            text: "How often.".to_owned(),
            chart: Some(chart),
            table: Table {
                head: vec!["run".to_owned(), "hits".to_owned()],
                rows: vec![vec!["\"1\"".to_owned(), "91 %\u{7}".to_owned()]],
            },
            notes: Vec::new(),
        }],
        footer: "made by a test".to_owned(),
    })
}

#[test]
fn everything_foreign_is_escaped_and_nothing_comes_from_elsewhere() {
    let html = shown(lines(&[Some(0.5), Some(1.0)]));
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("demo &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert!(html.contains("&quot;1&quot;") && html.contains("91 %\u{fffd}"));
    for word in [
        "http:",
        "https:",
        "url(",
        "@import",
        "src=",
        "onclick",
        "javascript:",
    ] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn what_a_chart_shows_is_said_in_words() {
    let html = shown(lines(&[None, Some(0.5), None, Some(0.75)]));
    assert!(
        html.contains("hits: from 50% at run 1 to 75% at run 3."),
        "{html}"
    );
    assert!(shown(lines(&[None])).contains("hits: nothing is known."));
    assert!(shown(lines(&[Some(0.25)])).contains("hits: 25% at run 0."));
}

#[test]
fn a_line_is_broken_where_nothing_is_known() {
    let html = shown(lines(&[Some(0.0), Some(0.5), None, Some(1.0)]));
    let path = html.split("<path").nth(1).unwrap();
    let path = path.split('"').nth(3).unwrap();
    // The field is 84 to 810 wide and from 246 up to 14.
    assert_eq!(path, "M84.0 246.0 L326.0 130.0 M810.0 14.0");
}

#[test]
fn what_is_no_number_is_not_drawn() {
    let html = shown(lines(&[
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(-1.0),
        Some(0.5),
    ]));
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    assert_eq!(html.matches("<circle").count(), 1);
}

#[test]
fn the_parts_of_a_bar_stand_upon_one_another() {
    let series = |name: &str, value| Series {
        name: name.to_owned(),
        values: vec![Some(value), None],
    };
    let html = shown(Chart {
        kind: Kind::Stacks,
        points: vec!["a".to_owned(), "b".to_owned()],
        series: vec![series("one", 3.0), series("two", 1.0)],
        target: None,
        unit: Unit::Money,
    });
    let bars: Vec<(f64, f64)> = html
        .split("<rect class=\"bar")
        .skip(1)
        .map(|bar| {
            let number = |name: &str| {
                let text = bar.split(&format!(" {name}=\"")).nth(1).unwrap();
                text.split('"').next().unwrap().parse().unwrap()
            };
            (number("y"), number("height"))
        })
        .collect();
    let [(first, height), (second, above)] = bars.as_slice() else {
        panic!("{bars:?}")
    };
    // The whole is 4 of 5.
    assert!((first + height - 246.0).abs() < 0.2, "{bars:?}");
    assert!((second + above - first).abs() < 0.2, "{bars:?}");
    assert!((height / above - 3.0).abs() < 0.05, "{bars:?}");
    assert!((second - (246.0 - 232.0 * 0.8)).abs() < 0.2, "{bars:?}");
}

#[test]
fn empty_pages_are_pages() {
    let html = shown(lines(&[]));
    assert!(html.ends_with("</html>\n") && html.contains("<svg"));
}
