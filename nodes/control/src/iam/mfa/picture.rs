//! The picture that an authenticator app takes a seed from.

use breakwater_aws::AwsError;
use qrcodegen::{QrCode, QrCodeEcc};

/// Pixels a square, and squares of white around.
const SCALE: usize = 5;
const BORDER: i32 = 4;

/// As IAM's documentation has it.
pub fn address(device: &str, account: &str, seed: &str) -> String {
    format!("otpauth://totp/{device}@{account}?secret={seed}")
}

/// A QR code as PNG, one bit a pixel.
pub fn qr_png(text: &str) -> Result<Vec<u8>, AwsError> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(AwsError::internal)?;
    let side = usize::try_from(code.size() + 2 * BORDER).map_err(AwsError::internal)? * SCALE;
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0u8; row_bytes * side];
    for y in 0..side {
        for x in 0..side {
            let square = |at: usize| i32::try_from(at / SCALE).unwrap_or(0) - BORDER;
            // Outside of the code all is white.
            if !code.get_module(square(x), square(y)) {
                pixels[y * row_bytes + x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
    let size = u32::try_from(side).map_err(AwsError::internal)?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, size, size);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().map_err(AwsError::internal)?;
    writer.write_image_data(&pixels).map_err(AwsError::internal)?;
    writer.finish().map_err(AwsError::internal)?;
    Ok(png)
}
