//! `docs/configure.md`, written from [`Options`]: a test keeps it true.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};

use super::{Options, inherited::INHERITED};

const HEAD: &str = "\
# Configure

Every option of `muster serve` can be given in three ways; the first one that is there wins:

1. on the command line: `--title \"My horde\"`,
2. as a variable of the environment: `MUSTER_TITLE=\"My horde\"`, or under the name that existing deployments use,
3. in a TOML file that `--config` (or `MUSTER_CONFIG`) names: `title = \"My horde\"`. Options that can be given several times
   are lists there.

`muster doctor` takes the same options, and says what is wrong with them. In brackets is what holds if nothing is said.

This page is written from the program itself.

";

/// The whole page.
pub(crate) fn page() -> String {
    let mut text = HEAD.to_owned();
    let command = Options::augment_args(Command::new("serve"));
    for argument in command.get_arguments() {
        section(&mut text, argument);
    }
    text.push_str(
        "## `[[supporters]]`\n\nOnly in the file: who supports the horde, and what they get for it, as tables with \
         `user` (the number of an account), `monthly-kudos`, and if they are to be listed, `name` and `link`.\n",
    );
    text
}

fn section(text: &mut String, argument: &Arg) {
    let Some(long) = argument.get_long() else { return };
    let value = argument
        .get_value_names()
        .map_or(String::new(), |names| format!(" {}", names.join(" ")));
    let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
    let inherited = INHERITED
        .iter()
        .filter(|(_, option)| *option == long)
        .map(|(name, _)| (*name).to_owned());
    let help = argument.get_long_help().or(argument.get_help());
    // Writing to a text cannot fail.
    let _ = writeln!(text, "## `--{long}{value}`\n");
    let names: Vec<String> = variable.iter().cloned().chain(inherited).collect();
    if !names.is_empty() {
        let _ = writeln!(text, "Variable: `{}`\n", names.join("` or `"));
    }
    let help = help.map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "{}.\n", help.trim().trim_end_matches('.'));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `MUSTER_UPDATE_DOCS=1` the page is written anew.
    #[test]
    fn the_page_tells_what_the_program_takes() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configure.md");
        let page = page();
        if std::env::var("MUSTER_UPDATE_DOCS").is_ok() {
            std::fs::write(file, &page).unwrap();
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            written == page,
            "docs/configure.md is not what the program takes: run MUSTER_UPDATE_DOCS=1 cargo test -p muster documentation"
        );
        assert!(page.contains("`MUSTER_TITLE` or `HORDE_TITLE`"));
    }
}
