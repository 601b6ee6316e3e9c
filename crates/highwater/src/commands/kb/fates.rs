//! What became of files that people had edited. Owns the words for it.

use highwater_kb::Fate;

/// What became of a file, as the end of a sentence; nothing for one that is as it was generated.
pub(super) fn became(fate: Fate) -> Option<&'static str> {
    match fate {
        Fate::AsGenerated => None,
        Fate::Merged => Some("was edited: the change is merged into it"),
        Fate::Conflict => Some("was edited, and stays: what is new lies beside it, as .conflict"),
        Fate::Kept => Some("was edited, and stays"),
        Fate::Deleted => Some("was deleted, and stays away"),
    }
}
