//! Applies the parameters of `CSI … m` (SGR, ECMA-48, 8.3.117) to a style.

use ratatui_core::style::{Color, Modifier, Style};

const BASIC: [Color; 8] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
];
const BRIGHT: [Color; 8] = [
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

/// The style after these parameters. Ignores blinking and hidden text, and what it does not know.
pub(super) fn apply_sgr(style: Style, parameters: &str) -> Style {
    let mut style = style;
    let mut groups = parameters.split(';');
    while let Some(group) = groups.next() {
        // Parameters may have parts: 38:2::255:0:0.
        let mut parts = group.split(':');
        let code = parts.next().unwrap_or_default();
        style = match code {
            "" | "0" => Style::new(),
            "1" => style.add_modifier(Modifier::BOLD),
            "2" => style.add_modifier(Modifier::DIM),
            "3" => style.add_modifier(Modifier::ITALIC),
            "4" if parts.next() == Some("0") => without(style, Modifier::UNDERLINED),
            "4" | "21" => style.add_modifier(Modifier::UNDERLINED),
            "7" => style.add_modifier(Modifier::REVERSED),
            "9" => style.add_modifier(Modifier::CROSSED_OUT),
            "22" => without(style, Modifier::BOLD | Modifier::DIM),
            "23" => without(style, Modifier::ITALIC),
            "24" => without(style, Modifier::UNDERLINED),
            "27" => without(style, Modifier::REVERSED),
            "29" => without(style, Modifier::CROSSED_OUT),
            "38" | "48" | "58" => {
                let color = if group.contains(':') {
                    extended(&parts.filter(|part| !part.is_empty()).collect::<Vec<_>>())
                } else {
                    extended_of_groups(&mut groups)
                };
                match (code, color) {
                    ("38", Some(color)) => style.fg(color),
                    ("48", Some(color)) => style.bg(color),
                    // The color of the underline, or an incomplete color.
                    _ => style,
                }
            }
            "39" => Style { fg: None, ..style },
            "49" => Style { bg: None, ..style },
            _ => match code.parse().unwrap_or(0_usize) {
                code @ 30..=37 => style.fg(BASIC[code - 30]),
                code @ 40..=47 => style.bg(BASIC[code - 40]),
                code @ 90..=97 => style.fg(BRIGHT[code - 90]),
                code @ 100..=107 => style.bg(BRIGHT[code - 100]),
                _ => style,
            },
        };
    }
    style
}

/// A style with a modifier less. Unlike `Style::remove_modifier`, equal to a style that never had it.
fn without(style: Style, modifier: Modifier) -> Style {
    Style { add_modifier: style.add_modifier.difference(modifier), ..style }
}

/// A color of `38;5;n` or `38;2;r;g;b`, without the first parameter.
fn extended_of_groups<'a>(groups: &mut impl Iterator<Item = &'a str>) -> Option<Color> {
    match groups.next()? {
        "5" => extended(&["5", groups.next()?]),
        "2" => extended(&["2", groups.next()?, groups.next()?, groups.next()?]),
        _ => None,
    }
}

fn extended(parts: &[&str]) -> Option<Color> {
    match parts {
        ["5", index] => index.parse().ok().map(Color::Indexed),
        // The number of a color space may stand before the color.
        ["2", .., red, green, blue] => {
            Some(Color::Rgb(red.parse().ok()?, green.parse().ok()?, blue.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(parameters: &str) -> Style {
        apply_sgr(Style::new(), parameters)
    }

    #[test]
    fn colors_have_every_form() {
        assert_eq!(style("31;44"), Style::new().fg(Color::Red).bg(Color::Blue));
        assert_eq!(style("97;100"), Style::new().fg(Color::White).bg(Color::DarkGray));
        assert_eq!(style("38;5;208"), Style::new().fg(Color::Indexed(208)));
        let rgb = Color::Rgb(1, 2, 3);
        for parameters in ["38;2;1;2;3", "38:2::1:2:3", "38:2:1:2:3", "38:2:0:1:2:3"] {
            assert_eq!(style(parameters), Style::new().fg(rgb), "{parameters}");
        }
        assert_eq!(style("48;2;1;2;3;1"), Style::new().bg(rgb).add_modifier(Modifier::BOLD));
    }

    #[test]
    fn modifiers_are_set_and_reset() {
        let all = style("1;2;3;4;7;9");
        assert_eq!(apply_sgr(all, "22;23;24;27;29"), Style::new());
        assert_eq!(apply_sgr(all, "4:0"), style("1;2;3;7;9"));
        assert_eq!(style("4:3"), style("4"));
        assert_eq!(apply_sgr(style("31"), "39"), Style::new());
        assert_eq!(apply_sgr(all, ""), Style::new());
    }

    #[test]
    fn unknown_and_incomplete_parameters_change_nothing() {
        for parameters in
            ["5", "8", "38", "38;5", "38;2;1;2", "38;5;999", "38;9", "99999999999", ":::", "58:5:1", "58;5;1"]
        {
            assert_eq!(style(parameters).fg, None, "{parameters}");
            assert_eq!(style(parameters).add_modifier, Modifier::empty(), "{parameters}");
        }
    }
}
