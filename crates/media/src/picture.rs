//! Resizing of pictures: JPEG, PNG, GIF and WebP, still and animated. Decoding is bounded in pixels and memory,
//! whatever the file declares and however it is compressed.

use std::io::Cursor;

use image::codecs::gif::{GifDecoder, GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, Frame, Frames, GenericImageView as _, ImageDecoder, ImageError,
    ImageFormat, ImageReader, Limits,
};

use crate::Error;
use crate::size::{LARGEST, Size};

/// Quality of JPEG thumbnails, from 1 to 100.
const QUALITY: u8 = 82;
/// Speed of colour quantisation of animated thumbnails, from 1 (best) to 30 (fastest).
const SPEED: i32 = 10;
/// Maximum number of frames; a longer animation becomes a still picture.
const MAX_FRAMES: u64 = 400;
/// Memory for decoding beside the pixels, in bytes.
const SLACK: u64 = 16 * 1024 * 1024;
/// Memory for the metadata of a PNG, such as a compressed colour profile, in bytes.
const METADATA: u64 = 8 * 1024 * 1024;

/// The result of resizing.
#[derive(Debug, PartialEq, Eq)]
pub enum Shrunk {
    /// The picture is small enough; its content type.
    AsIs(&'static str),
    /// Its content type and bytes.
    Smaller(&'static str, Vec<u8>),
}

/// The format of a file by its first bytes; refuses files that are not decodable pictures.
pub fn format(head: &[u8]) -> Result<ImageFormat, Error> {
    match image::guess_format(head) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Gif | ImageFormat::WebP)) => {
            Ok(format)
        }
        _ => Err(Error::NotAPicture),
    }
}

fn refuse(error: ImageError) -> Error {
    match error {
        ImageError::Limits(_) => Error::PictureTooLarge,
        _ => Error::NotAPicture,
    }
}

fn limits(max_pixels: u64) -> Limits {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST), Some(LARGEST));
    limits.max_alloc = Some(max_pixels.saturating_mul(4).saturating_add(SLACK));
    limits
}

/// The decoder of a picture, bounded before it reads anything.
fn decoder(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<Box<dyn ImageDecoder + '_>, Error> {
    match format {
        ImageFormat::Png => Ok(Box::new(png(bytes, max_pixels)?)),
        ImageFormat::WebP => {
            let mut decoder = webp(bytes)?;
            decoder.set_limits(limits(max_pixels)).map_err(refuse)?;
            Ok(Box::new(decoder))
        }
        _ => {
            let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
            reader.limits(limits(max_pixels));
            Ok(Box::new(reader.into_decoder().map_err(refuse)?))
        }
    }
}

/// A PNG decoder. Its construction decompresses the colour profile, which is bounded separately from the
/// pixels.
fn png(bytes: &[u8], max_pixels: u64) -> Result<PngDecoder<Cursor<&[u8]>>, Error> {
    let pixels = limits(max_pixels);
    let mut metadata = pixels.clone();
    metadata.max_alloc = Some(METADATA);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), metadata).map_err(refuse)?;
    decoder.set_limits(pixels).map_err(refuse)?;
    Ok(decoder)
}

/// A WebP decoder. It allocates a chunk before it reads it, so no chunk may be longer than the file.
fn webp(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, Error> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(8) {
        let [.., a, b, c, d] = head else { break };
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        rest = match after.get(length..) {
            // Chunks begin at even offsets.
            Some(after) => after.get(length % 2..).unwrap_or_default(),
            None => return Err(Error::NotAPicture),
        };
    }
    WebPDecoder::new(Cursor::new(bytes)).map_err(refuse)
}

/// Width and height of a picture that is shown as it is.
pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), Error> {
    Ok(decoder(bytes, format(bytes)?, 0)?.dimensions())
}

/// Resizes a picture to fit a size. An animation is kept if `animated`, else its first frame is used.
pub fn shrink(bytes: &[u8], size: Size, animated: bool, max_pixels: u64) -> Result<Shrunk, Error> {
    let format = format(bytes)?;
    let mut decoder = decoder(bytes, format, max_pixels)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > max_pixels {
        return Err(Error::PictureTooLarge);
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let moves = moves(bytes, format, max_pixels)?;
    if size.holds(turned(orientation, (width, height))) && (animated || !moves) {
        return Ok(Shrunk::AsIs(format.to_mime_type()));
    }
    if animated
        && moves
        && let Some(smaller) = moving(frames(bytes, format, max_pixels)?, size, pixels, max_pixels)?
    {
        return Ok(Shrunk::Smaller(ImageFormat::Gif.to_mime_type(), smaller));
    }
    // The decoder accounts for its further memory.
    limits(max_pixels).reserve(decoder.total_bytes()).map_err(refuse)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    // Smaller pictures are rotated faster.
    let (width, height) = turned(orientation, (size.width, size.height));
    let mut picture = Size { width, height, ..size }.apply(&picture);
    picture.apply_orientation(orientation);
    still(&picture, format)
}

/// Width and height after a picture was rotated upright.
fn turned(orientation: Orientation, (width, height): (u32, u32)) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

fn still(picture: &DynamicImage, format: ImageFormat) -> Result<Shrunk, Error> {
    let photo = match format {
        ImageFormat::Jpeg => true,
        ImageFormat::WebP => !picture.color().has_alpha(),
        _ => false,
    };
    let mut out = Vec::new();
    let kind = if photo {
        let picture = DynamicImage::ImageRgb8(picture.to_rgb8());
        JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&picture).map_err(refuse)?;
        ImageFormat::Jpeg
    } else {
        let picture = if picture.color().has_alpha() {
            DynamicImage::ImageRgba8(picture.to_rgba8())
        } else {
            DynamicImage::ImageRgb8(picture.to_rgb8())
        };
        picture.write_to(&mut Cursor::new(&mut out), ImageFormat::Png).map_err(refuse)?;
        ImageFormat::Png
    };
    Ok(Shrunk::Smaller(kind.to_mime_type(), out))
}

/// True if a picture has more than one frame.
fn moves(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<bool, Error> {
    Ok(match format {
        ImageFormat::Gif => frames(bytes, format, max_pixels)?.take(2).flatten().count() > 1,
        ImageFormat::WebP => webp(bytes)?.has_animation(),
        ImageFormat::Png => png(bytes, max_pixels)?.is_apng().map_err(refuse)?,
        _ => false,
    })
}

fn frames(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<Frames<'_>, Error> {
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(refuse)?;
            decoder.set_limits(limits(max_pixels)).map_err(refuse)?;
            Ok(decoder.into_frames())
        }
        ImageFormat::WebP => {
            let mut decoder = webp(bytes)?;
            decoder.set_limits(limits(max_pixels)).map_err(refuse)?;
            Ok(decoder.into_frames())
        }
        ImageFormat::Png => Ok(png(bytes, max_pixels)?.apng().map_err(refuse)?.into_frames()),
        _ => Err(Error::NotAPicture),
    }
}

/// All frames, resized, as GIF; `None` if they are too many.
fn moving(frames: Frames<'_>, size: Size, pixels: u64, max_pixels: u64) -> Result<Option<Vec<u8>>, Error> {
    // Decoding costs time for each pixel of each frame.
    let most = (max_pixels.saturating_mul(4) / pixels.max(1)).min(MAX_FRAMES);
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, SPEED);
    encoder.set_repeat(Repeat::Infinite).map_err(refuse)?;
    for (index, frame) in (0..).zip(frames) {
        if index >= most {
            return Ok(None);
        }
        let frame = frame.map_err(refuse)?;
        let delay = frame.delay();
        let smaller = size.apply(&DynamicImage::ImageRgba8(frame.into_buffer())).into_rgba8();
        encoder.encode_frame(Frame::from_parts(smaller, 0, 0, delay)).map_err(refuse)?;
    }
    drop(encoder);
    Ok(Some(out))
}

/// The part of a picture that is shown, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// The left and upper edge, width and height of the part.
    part: (u32, u32, u32, u32),
    /// The width and height of the thumbnail.
    to: (u32, u32),
}

impl Size {
    /// True if a picture need not be resized.
    fn holds(self, (width, height): (u32, u32)) -> bool {
        width <= self.width && height <= self.height
    }

    /// The resizing plan. Pictures are never enlarged.
    fn plan(self, (width, height): (u32, u32)) -> Plan {
        let wider = u64::from(width) * u64::from(self.height) > u64::from(height) * u64::from(self.width);
        if self.holds((width, height)) {
            return Plan { part: (0, 0, width, height), to: (width, height) };
        }
        if !self.crop {
            let to = if wider {
                (self.width, share(height, self.width, width))
            } else {
                (share(width, self.height, height), self.height)
            };
            return Plan { part: (0, 0, width, height), to };
        }
        let (shown, to) = if width <= self.width || height <= self.height {
            // The frame is covered without enlarging: the picture is only cropped.
            let cut = (width.min(self.width), height.min(self.height));
            (cut, cut)
        } else if wider {
            ((share(height, self.width, self.height).min(width), height), (self.width, self.height))
        } else {
            ((width, share(width, self.height, self.width).min(height)), (self.width, self.height))
        };
        Plan { part: ((width - shown.0) / 2, (height - shown.1) / 2, shown.0, shown.1), to }
    }

    fn apply(self, picture: &DynamicImage) -> DynamicImage {
        let Plan { part: (x, y, width, height), to } = self.plan(picture.dimensions());
        if (width, height) == picture.dimensions() {
            return picture.resize_exact(to.0, to.1, FilterType::Triangle);
        }
        picture.crop_imm(x, y, width, height).resize_exact(to.0, to.1, FilterType::Triangle)
    }
}

/// `a` times `of` divided by `to`; at least 1, so that a very flat picture stays visible.
fn share(a: u32, of: u32, to: u32) -> u32 {
    u32::try_from(u64::from(a) * u64::from(of) / u64::from(to.max(1))).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use image::{Delay, Rgb, RgbImage, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    const PIXELS: u64 = 1_000_000;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Vec::new();
        picture.write_to(&mut Cursor::new(&mut out), format).unwrap();
        out
    }

    fn photo(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
            Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 100])
        }))
    }

    fn gif(width: u32, height: u32, frames: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = GifEncoder::new(&mut out);
        for frame in 0..frames {
            let picture = RgbaImage::from_pixel(width, height, Rgba([frame * 20, 0, 0, 255]));
            let delay = Delay::from_numer_denom_ms(100, 1);
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
        }
        drop(encoder);
        out
    }

    fn scale(width: u32, height: u32) -> Size {
        Size { width, height, crop: false }
    }

    fn crop(width: u32, height: u32) -> Size {
        Size { width, height, crop: true }
    }

    fn of(shrunk: Shrunk) -> (&'static str, (u32, u32), usize) {
        match shrunk {
            Shrunk::AsIs(media_type) => (media_type, (0, 0), 0),
            Shrunk::Smaller(media_type, bytes) => {
                let picture = image::load_from_memory(&bytes).unwrap();
                let format = image::guess_format(&bytes).unwrap();
                assert_eq!(format.to_mime_type(), media_type);
                let frames = match format {
                    ImageFormat::Gif => frames(&bytes, format, PIXELS).unwrap().count(),
                    _ => 1,
                };
                (media_type, picture.dimensions(), frames)
            }
        }
    }

    #[test]
    fn stills() {
        let picture = photo(200, 100);
        for (format, media_type) in [
            (ImageFormat::Jpeg, "image/jpeg"),
            (ImageFormat::Png, "image/png"),
            (ImageFormat::WebP, "image/jpeg"),
        ] {
            let bytes = encoded(&picture, format);
            let shrunk = |size| of(shrink(&bytes, size, false, PIXELS).unwrap());
            assert_eq!(shrunk(scale(80, 60)), (media_type, (80, 40), 1));
            assert_eq!(shrunk(crop(32, 32)), (media_type, (32, 32), 1));
            assert_eq!(shrunk(crop(150, 150)), (media_type, (150, 100), 1));
            assert_eq!(shrunk(scale(200, 100)), (format.to_mime_type(), (0, 0), 0));
        }
        let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(100, 100, Rgba([1, 2, 3, 4])));
        let bytes = encoded(&clear, ImageFormat::WebP);
        assert_eq!(of(shrink(&bytes, scale(10, 10), true, PIXELS).unwrap()), ("image/png", (10, 10), 1));
    }

    #[test]
    fn what_moves() {
        let bytes = gif(100, 50, 3);
        let shrunk = |size, animated, pixels| of(shrink(&bytes, size, animated, pixels).unwrap());
        assert_eq!(shrunk(scale(20, 20), true, PIXELS), ("image/gif", (20, 10), 3));
        assert_eq!(shrunk(scale(20, 20), false, PIXELS), ("image/png", (20, 10), 1));
        assert_eq!(shrunk(scale(100, 100), true, PIXELS), ("image/gif", (0, 0), 0));
        assert_eq!(shrunk(scale(100, 100), false, PIXELS), ("image/png", (100, 50), 1));
        // Too many pixels to decode: the first frame is used.
        let many = gif(100, 50, 5);
        let few = shrink(&many, scale(20, 20), true, 5000).unwrap();
        assert_eq!(of(few), ("image/png", (20, 10), 1));
        assert_eq!(of(shrink(&gif(9, 9, 1), scale(9, 9), false, PIXELS).unwrap()), ("image/gif", (0, 0), 0));
    }

    #[test]
    fn refusals() {
        let picture = encoded(&photo(200, 100), ImageFormat::Png);
        let refused = |bytes: &[u8], pixels| {
            shrink(bytes, scale(10, 10), false, pixels).map_err(|error| error.to_string()).unwrap_err()
        };
        let (no_picture, too_large) = (Error::NotAPicture.to_string(), Error::PictureTooLarge.to_string());
        assert_eq!(refused(&picture, 19_999), too_large);
        assert_eq!(refused(b"", PIXELS), no_picture);
        assert_eq!(refused(b"<svg/>", PIXELS), no_picture);
        assert_eq!(refused(&picture[..picture.len() / 2], PIXELS), no_picture);
        // A header that declares 65,000 × 65,000 pixels.
        let mut bomb = picture.clone();
        bomb[16..24].copy_from_slice(&[0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe8]);
        assert!([no_picture, too_large].contains(&refused(&bomb, PIXELS)));
    }

    /// A still picture of 16 bits a sample and four samples a pixel, of which only the header is present.
    fn deep(width: u32, height: u32) -> Vec<u8> {
        let picture = DynamicImage::ImageRgba16(image::ImageBuffer::from_pixel(1, 1, Rgba([1, 2, 3, 4])));
        let mut bytes = encoded(&picture, ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        // The checksum of the header (CRC-32).
        let crc = bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        });
        bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
        bytes
    }

    #[test]
    fn depth_counts() {
        let refused = |width, height| {
            let error = shrink(&deep(width, height), scale(10, 10), false, 10_000_000).unwrap_err();
            error.to_string()
        };
        assert_eq!(refused(3000, 3000), Error::PictureTooLarge.to_string());
        assert_eq!(refused(1000, 1000), Error::NotAPicture.to_string(), "it is not refused for its size");
    }

    #[test]
    fn chunks_end_within_the_file() {
        let mut bytes = encoded(&photo(200, 100), ImageFormat::WebP);
        assert_eq!(dimensions(&bytes).unwrap(), (200, 100));
        // The chunk after the picture declares a length of 4 GB.
        bytes.extend(*b"EXIF\xf0\xff\xff\xff");
        assert_eq!(dimensions(&bytes).unwrap_err().to_string(), Error::NotAPicture.to_string());
    }

    #[test]
    fn upright() {
        // A JPEG whose EXIF declares that it is rotated.
        let exif = [
            0xff, 0xe1, 0, 0x22, b'E', b'x', b'i', b'f', 0, 0, b'M', b'M', 0, 0x2a, 0, 0, 0, 8, 0, 1, 0x01,
            0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
        ];
        let mut bytes = encoded(&photo(200, 100), ImageFormat::Jpeg);
        bytes.splice(2..2, exif);
        assert_eq!(of(shrink(&bytes, scale(50, 50), false, PIXELS).unwrap()), ("image/jpeg", (25, 50), 1));
        assert_eq!(of(shrink(&bytes, scale(100, 200), false, PIXELS).unwrap()), ("image/jpeg", (0, 0), 0));
    }

    proptest! {
        #[test]
        fn plans(
            width in 1..70_000_u32, height in 1..70_000_u32,
            size in (1..1000_u32, 1..1000_u32, any::<bool>()).prop_map(|(width, height, crop)| Size { width, height, crop }),
        ) {
            let Plan { part: (x, y, w, h), to } = size.plan((width, height));
            prop_assert!(to.0 >= 1 && to.1 >= 1 && w >= 1 && h >= 1);
            prop_assert!(to.0 <= size.width && to.1 <= size.height, "it fits");
            prop_assert!(to.0 <= w && to.1 <= h, "nothing is made larger");
            prop_assert!(x + w <= width && y + h <= height, "the part is within the picture");
            if !size.crop {
                prop_assert_eq!((w, h), (width, height), "all of it is shown");
                prop_assert!(to.0 == size.width.min(width) || to.1 == size.height.min(height), "as large as can be");
            } else if width >= size.width && height >= size.height {
                prop_assert_eq!(to, (size.width, size.height), "cut to shape");
            }
        }

        #[test]
        fn garbage_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
            let heads: [&[u8]; 4] = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP"];
            bytes.splice(0..0, heads[kind].iter().copied());
            let _ = shrink(&bytes, scale(10, 10), true, PIXELS);
        }
    }
}
