//! Damaged pictures and web pages: whatever users upload or link to, thumbnails and previews must neither panic
//! nor leak memory.

use std::fs;
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Args;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};
use reeve_media::picture;
use reeve_media::size::Size;
use reeve_model::clock::monotonic;
use reeve_previews::page;

use crate::Fallible;
use crate::report::{Report, Verdict, below};
use crate::seed::per_second;

/// Maximum size of a decoded picture that declares to be large, in pixels. The server allows more; here it
/// would only take time.
const PIXELS: u64 = 250_000;
/// Maximum growth of memory between the first tenth of the inputs and the end, in MB.
const GROWTH_MB: f64 = 64.0;
/// Maximum number of changes to an example.
const CHANGES: u64 = 12;
const SIZES: [Size; 3] = [
    Size { width: 32, height: 32, crop: true },
    Size { width: 96, height: 96, crop: true },
    Size { width: 40, height: 30, crop: false },
];

#[derive(Args)]
pub(crate) struct Fuzz {
    /// Number of inputs.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: usize,
    /// Seed of the inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for inputs that caused a panic.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

/// Numbers that look random and are the same each time (`SplitMix64`).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_le_bytes();
        byte
    }
}

fn drawing(side: u32) -> RgbaImage {
    RgbaImage::from_fn(side, side, |x, y| {
        let shade = u8::try_from((x * 37 + y * 11) % 256).unwrap_or_default();
        Rgba([shade, 255 - shade, shade / 2, if x > y { 255 } else { 100 }])
    })
}

/// Undamaged pictures of each kind, and pages.
fn examples() -> Fallible<Vec<Vec<u8>>> {
    let mut examples = Vec::new();
    for side in [9, 60] {
        let drawn = DynamicImage::from(drawing(side));
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let mut file = Cursor::new(Vec::new());
            let drawn =
                if format == ImageFormat::Jpeg { DynamicImage::from(drawn.to_rgb8()) } else { drawn.clone() };
            drawn.write_to(&mut file, format)?;
            examples.push(file.into_inner());
        }
        let mut moving = Vec::new();
        let mut encoder = GifEncoder::new(&mut moving);
        for frame in 0..3 {
            encoder.encode_frame(Frame::new(drawing(side + frame)))?;
        }
        drop(encoder);
        examples.push(moving);
    }
    for page in [
        "<!DOCTYPE html><html><head><meta charset=utf-8><title>A title</title><meta property=\"og:title\" content=\"T &amp; t\">\
         <meta property='og:image' content='/a.png'><base href='https://x.org/'></head><body><h1>Hello</h1><p>Text</p>",
        "<?xml version='1.0' encoding='iso-8859-1'?><html><head><meta name=description content='d'><link rel=icon href=i>\
         </head><body><script>if (a < b) {}</script><svg><title>no</title></svg><!-- c --><img src='data:x'></body></html>",
        "\u{feff}<title>&#x41;&#65;&nbsp;&notanentity;&#1114112;</title><plaintext><textarea></title>",
    ] {
        examples.push(page.as_bytes().to_vec());
    }
    Ok(examples)
}

/// One of the examples with some damage.
fn damaged(examples: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let mut input = examples.get(noise.below(examples.len())).cloned().unwrap_or_default();
    for _ in 0..=noise.next() % CHANGES {
        let (at, length) = (noise.below(input.len()), 1 + noise.below(16));
        let range = at..input.len().min(at + length);
        match noise.below(6) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << noise.below(8);
                }
            }
            1 => {
                let values = [0, 1, 0x7F, 0x80, 0xFF, b'<', b'>', b'"', b'&'];
                let value = values.get(noise.below(values.len())).copied().unwrap_or_default();
                input.get_mut(range).into_iter().flatten().for_each(|byte| *byte = value);
            }
            2 => input.get_mut(range).into_iter().flatten().for_each(|byte| *byte = noise.byte()),
            3 => drop(input.drain(range)),
            4 => {
                let copy = input.get(range).unwrap_or_default().to_vec();
                let to = noise.below(input.len());
                input.splice(to..to, copy);
            }
            _ => {
                // The rest of another example.
                let other = examples.get(noise.below(examples.len())).map_or(&[][..], Vec::as_slice);
                let from = noise.below(other.len());
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
        }
    }
    input
}

/// Processes an input as the server would.
fn process(input: &[u8], number: usize) {
    for size in SIZES.iter().skip(number % SIZES.len()).take(1) {
        let _ = picture::shrink(input, *size, number.is_multiple_of(2), PIXELS);
    }
    let said = ["utf-16", "shift_jis", "nonsense"].get(number % 8).copied();
    let _ = page::read(&page::decode(input, said));
}

fn resident_mb() -> Fallible<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Processes very many damaged files as thumbnails and previews; returns true if there was no failure.
pub(crate) fn run(arguments: &Fuzz) -> Fallible<bool> {
    let examples = Arc::new(examples()?);
    // Undamaged examples work.
    for (number, example) in examples.iter().enumerate() {
        process(example, number);
    }
    let (next, panics) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    panic::set_hook(Box::new(|_| {}));
    let start = monotonic();
    let workers = thread::available_parallelism()?.get();
    let mut report = Report::default();
    let mut early = 0.0;
    for end in [arguments.inputs / 10, arguments.inputs] {
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return;
                        }
                        let position = u64::try_from(number).unwrap_or_default();
                        let mut noise = Noise(
                            arguments.seed.wrapping_mul(0xA24B_AED4_963E_E407).wrapping_add(position << 20),
                        );
                        let input = damaged(&examples, &mut noise);
                        if panic::catch_unwind(AssertUnwindSafe(|| process(&input, number))).is_err() {
                            panics.fetch_add(1, Ordering::Relaxed);
                            let file = arguments.folder.join(format!("panic-{}-{number}", arguments.seed));
                            if let Err(error) = fs::write(&file, &input) {
                                eprintln!("{} cannot be written: {error}", file.display());
                            }
                        }
                    }
                });
            }
        });
        next.store(end, Ordering::Relaxed);
        if end < arguments.inputs {
            early = resident_mb()?;
        }
        println!("  {end} inputs, {:.0} MB", resident_mb()?);
    }
    let _ = panic::take_hook();
    let panics = panics.load(Ordering::Relaxed);
    report.info(
        "Inputs",
        format!("{}, {:.0}/s", arguments.inputs, per_second(arguments.inputs, start.elapsed().as_secs_f64())),
    );
    let verdict = if panics == 0 { Verdict::Ok } else { Verdict::Wrong };
    report.row("Panics", panics.to_string(), "none", verdict);
    let growth = resident_mb()? - early;
    report.row(
        "Memory at the end, above that after a tenth",
        format!("{growth:.0} MB"),
        "< 64 MB",
        below(growth, GROWTH_MB),
    );
    println!("\n{}", report.table());
    Ok(report.is_good())
}
