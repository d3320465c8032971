//! The filter of the log.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Reads a list of levels and directives such as `info,reeve_db=debug`.
///
/// The library takes an unknown word for the name of a part of the program whose lines are all logged, so that
/// a typing error would silence everything else. Here a part needs its level: `reeve_db=trace`.
///
/// # Errors
/// An error text for the operator.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        let (name, level) = match directive.rsplit_once('=') {
            // Text within the brackets of a span is not a level.
            Some((name, level)) if !level.contains([']', '}']) => (name, level),
            _ => ("", *directive),
        };
        // The library also accepts an empty level.
        if level.trim().is_empty() || level.trim().parse::<LevelFilter>().is_err() {
            let what = if name.is_empty() { "" } else { " behind the =" };
            return Err(format!(
                "expected a level (off, error, warn, info, debug or trace), or PART=LEVEL such as reeve_db=debug, \
                 found {:?}{what}",
                level.trim()
            ));
        }
    }
    EnvFilter::try_new(directives.join(",")).map_err(|error| format!("{error}, in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts() {
        for right in [
            "info",
            "INFO",
            "off",
            "info,reeve_db=debug",
            " warn , reeve_http=trace ",
            "info,a[b{c=\"d\"}]=debug",
            "info,[span]=trace",
        ] {
            assert!(log_filter(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "debgu",
            "reeve_db",
            "info,",
            "info,reeve_db",
            "info,reeve_db=debgu",
            "info,a[b{c=d}]",
            "info;debug",
            "a=b=c",
        ] {
            assert!(log_filter(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            log_filter("info,reeve_db=debgu").unwrap_err(),
            "expected a level (off, error, warn, info, debug or trace), or PART=LEVEL such as reeve_db=debug, found \
             \"debgu\" behind the ="
        );
    }
}
