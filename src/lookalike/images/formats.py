"""The formats of pictures that are read, and how the names of their files end."""

from __future__ import annotations

# What may be opened. Pillow knows more. Some of it starts a program (EPS) or hides a picture of any size and
# format in another (IPTC, BLP); stubs without a reader (GRIB, HDF5, WMF ...) and video (MPEG) give no pixels.
FORMATS = tuple(
    "JPEG PNG WEBP GIF TIFF BMP AVIF HEIF PPM MPO JPEG2000 DIB ICO ICNS CUR QOI DDS PSD TGA SGI SUN PCX DCX "
    "MSP XBM XPM FITS FLI FTEX GBR IMT MCIDAS PCD PIXAR SPIDER XVTHUMB".split()
)

# How the name of an image's file ends, in lower case; the bytes decide when it is read.
SUFFIXES = frozenset(
    (
        ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .dib .avif .avifs .heic .heics "
        ".heif .heifs .hif .pbm .pgm .ppm .pnm .pfm .pam .jp2 .j2k .jpc .jpf .jpx .j2c .ico .icns .cur .qoi "
        ".dds .psd .tga .icb .vda .vst .sgi .rgb .rgba .bw .ras .pcx .dcx .msp .xbm .xpm .fits .fit .fli "
        ".flc .ftc .ftu .gbr .pcd .pxr"
    ).split()
)
