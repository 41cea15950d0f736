//! Which rows of the list stand where on a screen. Pure.

use std::ops::Range;

use ratatui_core::layout::Size;

use super::entry::Section;

/// The smallest screen that the list fits.
pub(super) const MIN_SIZE: Size = Size { width: 20, height: 6 };

/// The title above the list, and the keys below it.
const OTHER_LINES: u16 = 2;

/// Where a section would have fewer lines, only that of the selected job is shown. The title counts the others.
const MIN_LINES: usize = 3;

/// On screens with fewer lines, only the selected job has its reason below it.
const MIN_HEIGHT_FOR_REASONS: u16 = 16;

/// The places of all sections that have jobs.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) sections: Vec<Place>,
}

/// The place of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) section: Section,
    /// The line of the heading.
    pub(super) y: u16,
    /// The jobs that are shown, as positions within the section.
    pub(super) shown: Range<usize>,
    /// Number of jobs in the section.
    pub(super) count: usize,
    /// Which jobs have their reason below them.
    pub(super) reasons: Reasons,
    /// The position of the selected job within the section.
    pub(super) selected: Option<usize>,
}

/// Which jobs have their reason below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    All,
    Selected,
    None,
}

/// What a section needs, in lines.
struct Need {
    section: Section,
    count: usize,
    /// Position of the selected job.
    selected: Option<usize>,
    lines_each: usize,
    /// One for the reason of the selected job.
    extra: usize,
}

impl Need {
    fn lines(&self) -> usize {
        self.count * self.lines_each + self.extra
    }
}

impl Place {
    /// Number of jobs that are shown.
    pub(super) fn rows(&self) -> usize {
        self.shown.len()
    }
}

impl Places {
    /// Places sections with so many jobs, in the order of [`Section::ALL`], on a screen of this size. `selected` is the
    /// section of the selected job, and its position there.
    pub(super) fn of(counts: [usize; 3], selected: Option<(Section, usize)>, size: Size) -> Places {
        let has_reasons = size.height >= MIN_HEIGHT_FOR_REASONS;
        let mut needs: Vec<Need> = Section::ALL
            .into_iter()
            .zip(counts)
            .map(|(section, count)| {
                let selected =
                    selected.filter(|(selected, _)| *selected == section).map(|(_, position)| position);
                let is_attention = section == Section::Attention;
                Need {
                    section,
                    count,
                    selected,
                    lines_each: if is_attention && has_reasons { 2 } else { 1 },
                    extra: usize::from(is_attention && !has_reasons && selected.is_some()),
                }
            })
            .filter(|need| need.count > 0)
            .collect();
        let height = usize::from(size.height.saturating_sub(OTHER_LINES));
        if height < needs.len() * MIN_LINES {
            needs.retain(|need| need.selected.is_some());
        }
        let lines = share(&needs, height.saturating_sub(needs.len()));
        // Blank lines between the sections, where there is space.
        let used: usize = lines.iter().sum::<usize>() + needs.len();
        let gap = usize::from(height >= used + needs.len().saturating_sub(1));
        let mut y = 1;
        let mut sections = Vec::with_capacity(needs.len());
        for (need, lines) in needs.iter().zip(lines) {
            let rows = if lines > need.extra { (lines - need.extra) / need.lines_each } else { lines };
            let place = Place {
                section: need.section,
                y: u16::try_from(y).unwrap_or(u16::MAX),
                shown: around(need.selected, rows, need.count),
                count: need.count,
                reasons: match need.lines_each {
                    2 => Reasons::All,
                    _ if lines > rows && need.extra > 0 => Reasons::Selected,
                    _ => Reasons::None,
                },
                selected: need.selected,
            };
            sections.push(place);
            y += 1 + lines + gap;
        }
        Places { sections }
    }
}

/// Shares lines among sections: each gets what it needs, as long as the others get an equal share.
fn share(needs: &[Need], available: usize) -> Vec<usize> {
    let mut lines = vec![0; needs.len()];
    let mut left = available;
    let mut open: Vec<usize> = (0..needs.len()).collect();
    while !open.is_empty() {
        let equal = left / open.len();
        let (satisfied, hungry): (Vec<usize>, Vec<usize>) =
            open.iter().copied().partition(|index| needs[*index].lines() <= equal);
        if satisfied.is_empty() {
            // The first sections get what is left over.
            for (rank, index) in hungry.iter().enumerate() {
                lines[*index] = equal + usize::from(rank < left % hungry.len());
            }
            break;
        }
        for index in &satisfied {
            lines[*index] = needs[*index].lines();
            left -= lines[*index];
        }
        open = hungry;
    }
    // A section whose lines do not fit whole jobs gives the rest to the others.
    let wasted =
        |index: usize, lines: usize| lines.saturating_sub(needs[index].extra) % needs[index].lines_each;
    let mut rest = 0;
    for (index, lines) in lines.iter_mut().enumerate() {
        let waste = wasted(index, *lines);
        *lines -= waste;
        rest += waste;
    }
    for index in (0..needs.len()).rev() {
        if needs[index].lines_each == 1 {
            let more = rest.min(needs[index].lines() - lines[index].min(needs[index].lines()));
            lines[index] += more;
            rest -= more;
        }
    }
    lines
}

/// The part of a list that shows the selected job in the middle where possible.
fn around(selected: Option<usize>, rows: usize, count: usize) -> Range<usize> {
    let rows = rows.min(count);
    let first = selected.map_or(0, |selected| selected.saturating_sub(rows / 2)).min(count - rows);
    first..first + rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(section: Section, count: usize, lines_each: usize) -> Need {
        Need { section, count, selected: None, lines_each, extra: 0 }
    }

    #[test]
    fn each_section_gets_what_it_needs_or_an_equal_share() {
        let needs =
            [need(Section::Attention, 2, 2), need(Section::Running, 100, 1), need(Section::Finished, 100, 1)];
        assert_eq!(share(&needs, 20), [4, 8, 8]);
        assert_eq!(share(&needs, 21), [4, 9, 8]);
        let needs = [need(Section::Attention, 100, 2), need(Section::Finished, 3, 1)];
        assert_eq!(share(&needs, 20), [16, 3], "half a job is not shown");
        let needs = [need(Section::Attention, 100, 2), need(Section::Finished, 100, 1)];
        assert_eq!(share(&needs, 9), [4, 5]);
        assert_eq!(share(&needs, 1), [0, 1]);
        assert_eq!(share(&[], 9), [0; 0]);
    }

    #[test]
    fn the_selected_job_is_in_the_middle() {
        assert_eq!(around(None, 5, 20), 0..5);
        assert_eq!(around(Some(0), 5, 20), 0..5);
        assert_eq!(around(Some(10), 5, 20), 8..13);
        assert_eq!(around(Some(19), 5, 20), 15..20);
        assert_eq!(around(Some(1), 5, 2), 0..2);
        assert_eq!(around(Some(3), 0, 5), 3..3);
    }
}
