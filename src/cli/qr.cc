#include "cli/qr.h"

#include <qrcodegen/qrcodegen.hpp>
#include <stdexcept>

namespace leat::cli {

std::string qr_code(std::string_view text) {
  using qrcodegen::QrCode;
  constexpr int kQuiet = 2;  // scanners manage with two modules where the rest is light as well
  try {
    const QrCode code = QrCode::encodeText(std::string(text).c_str(), QrCode::Ecc::LOW);
    std::string out;
    for (int y = -kQuiet; y < code.getSize() + kQuiet; y += 2) {
      out += "\x1b[30;107m";  // black on bright white
      for (int x = -kQuiet; x < code.getSize() + kQuiet; ++x) {
        const bool upper = code.getModule(x, y), lower = code.getModule(x, y + 1);
        out += upper && lower ? "\u2588" : upper ? "\u2580" : lower ? "\u2584" : " ";
      }
      out += "\x1b[0m\n";
    }
    return out;
  } catch (const std::length_error&) {  // qrcodegen::data_too_long
    return {};
  }
}

}  // namespace leat::cli
