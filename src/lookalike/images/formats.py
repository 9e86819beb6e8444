"""The picture formats that Lookalike reads, and the endings of their file names."""

from __future__ import annotations

# The formats that may be opened. Pillow knows more, but some start a program (EPS) or hide a picture of any
# size and format (IPTC, BLP); stubs without a reader (GRIB, HDF5, WMF ...) and video (MPEG) give no pixels.
FORMATS = tuple(
    "JPEG PNG WEBP GIF TIFF BMP AVIF HEIF PPM MPO JPEG2000 DIB ICO ICNS CUR QOI DDS PSD TGA SGI SUN PCX DCX "
    "MSP XBM XPM FITS FLI FTEX GBR IMT MCIDAS PCD PIXAR SPIDER XVTHUMB".split()
)

# Endings of image files, in lower case; when one is read, its bytes decide.
SUFFIXES = frozenset(
    (
        ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .dib .avif .avifs .heic .heics "
        ".heif .heifs .hif .pbm .pgm .ppm .pnm .pfm .pam .jp2 .j2k .jpc .jpf .jpx .j2c .ico .icns .cur .qoi "
        ".dds .psd .tga .icb .vda .vst .sgi .rgb .rgba .bw .ras .pcx .dcx .msp .xbm .xpm .fits .fit .fli "
        ".flc .ftc .ftu .gbr .pcd .pxr"
    ).split()
)
