//! The sizes of thumbnails.

/// Maximum width and height in a request, in pixels.
pub const LARGEST: u32 = 65_535;

/// A size of thumbnails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Maximum width, in pixels.
    pub width: u32,
    /// Maximum height, in pixels.
    pub height: u32,
    /// True to crop the picture to this shape; else all of it is shown, within this frame.
    pub crop: bool,
}

/// All sizes, so that not every requested size creates another file.
const SIZES: [Size; 8] = [
    Size { width: 32, height: 32, crop: true },
    Size { width: 96, height: 96, crop: true },
    Size { width: 320, height: 240, crop: true },
    Size { width: 640, height: 480, crop: true },
    Size { width: 800, height: 600, crop: true },
    Size { width: 320, height: 240, crop: false },
    Size { width: 640, height: 480, crop: false },
    Size { width: 800, height: 600, crop: false },
];

impl Size {
    /// The smallest size that is at least as large as the requested one; for larger requests, the size of the
    /// picture.
    pub fn for_wish(wish: Self) -> Self {
        let enough =
            |size: &&Self| size.crop == wish.crop && size.width >= wish.width && size.height >= wish.height;
        let whole = Self { width: LARGEST, height: LARGEST, crop: false };
        SIZES.iter().find(enough).copied().unwrap_or(whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        let size = |width, height, crop| Size::for_wish(Size { width, height, crop });
        let got = |size: Size| (size.width, size.height, size.crop);
        assert_eq!(got(size(1, 1, true)), (32, 32, true));
        assert_eq!(got(size(32, 33, true)), (96, 96, true));
        assert_eq!(got(size(97, 10, true)), (320, 240, true));
        assert_eq!(got(size(320, 240, false)), (320, 240, false));
        assert_eq!(got(size(240, 320, false)), (640, 480, false));
        assert_eq!(got(size(801, 1, false)), (LARGEST, LARGEST, false));
        assert_eq!(got(size(801, 1, true)), (LARGEST, LARGEST, false));
    }

    proptest! {
        #[test]
        fn few_sizes_and_never_too_small(width in 1..=LARGEST, height in 1..=LARGEST, crop: bool) {
            let size = Size::for_wish(Size { width, height, crop });
            prop_assert!(size.width >= width && size.height >= height);
            prop_assert!(SIZES.contains(&size) || size.width == LARGEST);
        }
    }
}
