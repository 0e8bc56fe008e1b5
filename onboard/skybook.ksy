meta:
  id: skybook
  title: Skybook stream or recording, format 1
  application: skybook
  file-extension:
    - sky
    - pkt
  license: Apache-2.0
  ks-version: '0.11'
  endian: be
  bit-endian: be
doc: |
  Segments of skybook and the CCSDS space packets around them, back to back, as they leave the
  encoder or an intact link. SPEC.md, sections 2, 14 and 15, says what the fields mean.

  What lies in packets and segments is told to the last field but for the body of a tile behind its
  state, which takes the model to read (SPEC.md, sections 4, 9 to 11 and 20).

  Kaitai Struct computes no CRC: whoever parses with this description checks `check` of each
  segment (CRC-32C, XORed with the binding in tiles and masks) and `error_control` of packets. It
  does not find its place again after damage, nor pass over fill or KISS frames: that is for
  `ground merge`, whose output it reads.
doc-ref: SPEC.md, section 1
seq:
  - id: elements
    type: element
    repeat: eos
types:
  element:
    doc: A packet, or a segment without one, told apart by their first bytes.
    doc-ref: SPEC.md, section 14
    seq:
      - id: content
        type:
          switch-on: mark
          cases:
            0x534b: segment
            _: packet
    instances:
      mark:
        pos: _io.pos
        type: u2

  packet:
    doc: |
      A space packet (CCSDS 133.0-B-2). Idle ones, and those of other applications, are told by
      their header alone.
    doc-ref: SPEC.md, section 14
    seq:
      - id: version
        type: b3
        valid: 0
      - id: is_telecommand
        type: b1
      - id: has_secondary_header
        type: b1
      - id: apid
        type: b11
        doc: Application process, 0..2046; 2047 is idle.
      - id: sequence_flags
        type: b2
        doc: 3, a packet that neither goes on from another nor in another.
      - id: sequence_count
        type: b14
      - id: length
        type: u2
        doc: Bytes of the data field, less 1.
      - id: data_field
        size: length + 1
        type: data_field

  data_field:
    doc-ref: SPEC.md, section 14
    seq:
      - id: ours
        type: content
        if: is_ours
      - id: foreign
        size-eos: true
        if: not is_ours
    instances:
      mark:
        pos: 6
        type: u2
        if: _io.size >= 8
        doc: Where the first segment of a packet of ours begins.
      is_ours:
        value: >-
          not _parent.is_telecommand and _parent.has_secondary_header and _parent.apid != 2047
          and _parent.sequence_flags == 3 and _io.size >= 8 and mark == 0x534b

  content:
    doc-ref: SPEC.md, section 14
    seq:
      - id: time
        type: time
        doc: That of the first line of the row of tiles; of an end, of the line after the last.
      - id: segments
        type: segment
        repeat: until
        repeat-until: _io.size - _io.pos <= 2
      - id: error_control
        type: u2
        if: not _io.eof
        doc: |
          CRC-16 (polynomial 0x1021, initial value 0xFFFF) of all bytes of the packet before it.

  time:
    doc: CUC of 4 + 2 bytes without preamble (CCSDS 301.0-B-4), since 1958-01-01T00:00:00 TAI.
    doc-ref: SPEC.md, section 14
    seq:
      - id: seconds
        type: u4
      - id: fraction
        type: u2
        doc: In 1/65536 s.

  segment:
    doc: The unit on the link.
    doc-ref: SPEC.md, section 2
    seq:
      - id: sync
        contents: SK
      - id: version
        type: b4
        valid: 1
      - id: kind
        type: b4
        enum: kind
        doc: Readers skip kinds that they do not know.
      - id: has_edge
        type: b1
      - id: is_wide
        type: b1
      - id: has_first
        type: b1
      - id: layer
        type: b5
        doc: Layer in which the body starts; 0 is state and side information.
      - id: scene_id
        type: u2
      - id: tile
        type:
          switch-on: is_wide
          cases:
            true: u4
            false: u2
        valid:
          expr: is_wide == (_ > 65535)
        doc: |
          Tile index; 0 in scene and end segments; in repair segments, number of the group's first
          packet.
      - id: told_first
        type: u2
        if: has_first
        valid:
          min: 1
      - id: len_body
        type: u2
      - id: body
        size: len_body
        type: body
      - id: check
        type: u4
        doc: CRC-32C of all bytes before it; in tiles and masks XORed with the binding.
    instances:
      first:
        value: 'has_first ? told_first : 0'
        doc: |
          Tiles: index in the layer at which the body starts. Masks: first pixel. Repair segments:
          row.
      is_bound:
        value: kind == kind::tile or kind == kind::mask
        doc: Whether the binding is not in the body but in the check.
    enums:
      kind:
        0: scene
        1: tile
        2: mask
        3: end
        4: repair

  body:
    doc-ref: SPEC.md, section 2
    seq:
      - id: binding
        type: u4
        if: not _parent.is_bound
        doc: Tag of the model XOR run of the encoding.
      - id: edge
        type: edge
        if: _parent.has_edge
      - id: content
        size-eos: true
        type:
          switch-on: _parent.kind
          cases:
            segment::kind::scene: scene
            segment::kind::tile: tile(_parent.layer)
            segment::kind::mask: mask
            segment::kind::end: end
            segment::kind::repair: repair

  edge:
    doc: How much of a tile at the right or bottom border lies in the scene.
    doc-ref: SPEC.md, section 2
    seq:
      - id: valid_rows
        type: u2
        valid:
          min: 1
          max: 256
      - id: valid_cols
        type: u2
        valid:
          min: 1
          max: 256

  tile:
    doc: A piece of a tile's sequence of layers.
    doc-ref: SPEC.md, section 2, kind 1
    params:
      - id: layer
        type: b5
    seq:
      - id: state
        type: u1
        enum: state
        valid:
          in-enum: true
        if: layer == 0
      - id: coded
        size-eos: true
        doc: |
          Side information, if layer 0 is in the piece, with a field of steps where the state says so
          (SPEC.md, section 22), then indices (section 4) or lanes (section 11; of bounded tiles
          section 20).
    enums:
      state:
        0: valid
        1: some_nodata
        2: all_nodata
        4: dependent
        5: dependent_some_nodata
        8: full
        9: full_some_nodata
        12: dependent_full
        13: dependent_full_some_nodata
        16: bounded
        17: bounded_some_nodata
        32: bounded_in_two_parts
        33: bounded_in_two_parts_some_nodata
        34: field
        35: field_some_nodata
        38: field_dependent
        39: field_dependent_some_nodata
        64: empty
        65: empty_some_nodata
        128: hides_signs
        129: hides_signs_some_nodata
        136: hides_signs_full
        137: hides_signs_full_some_nodata
        162: hides_signs_field
        163: hides_signs_field_some_nodata

  mask:
    doc: Nodata of pixels from `first` on, row-major over the valid rows and columns of the tile.
    doc-ref: SPEC.md, section 2, kind 2
    seq:
      - id: form
        type: u1
        enum: form
        valid:
          in-enum: true
      - id: runs
        type: run_length
        repeat: eos
        if: form == form::runs
        doc: Alternately valid and nodata, beginning with valid.
      - id: bitmap
        size-eos: true
        if: form == form::bitmap
        doc: One bit a pixel, most significant first, 1 = nodata.
    enums:
      form:
        0: runs
        1: bitmap

  run_length:
    doc: LEB128 number of at most 3 bytes.
    doc-ref: SPEC.md, section 2, kind 2
    seq:
      - id: groups
        type: group(_index)
        repeat: until
        repeat-until: not _.goes_on
    instances:
      pixels:
        value: |
          groups[0].bits
          + (groups.size > 1 ? groups[1].bits << 7 : 0)
          + (groups.size > 2 ? groups[2].bits << 14 : 0)
    types:
      group:
        params:
          - id: number
            type: s4
        seq:
          - id: goes_on
            type: b1
            valid:
              expr: not _ or number < 2
          - id: bits
            type: b7

  scene:
    doc: Scene header, sent first and then as every 64th segment.
    doc-ref: SPEC.md, section 2, kind 0
    seq:
      - id: minor
        type: u1
        doc: Minor version, 0; newer ones are read alike.
      - id: sample_type
        type: u1
        enum: sample_type
        valid:
          in-enum: true
      - id: significant_bits
        type: u1
        valid:
          expr: >-
            _ >= 1
            and _ <= (sample_type == sample_type::u8 or sample_type == sample_type::i8 ? 8 : 16)
      - id: bands
        type: u2
        valid:
          min: 1
      - id: width
        type: u4
        valid:
          min: 1
          max: 0x1000000
      - id: height
        type: u4
        valid:
          max: 0x1000000
        doc: 0 is not yet known, see the end.
      - id: extensions
        type: extension
        repeat: eos
    enums:
      sample_type:
        0: u8
        1: u16
        2: i16
        3: i8

  extension:
    doc: Type, length, value.
    doc-ref: SPEC.md, section 2, kind 0
    seq:
      - id: is_critical
        type: b1
        doc: Whether a reader that does not know the type refuses the scene.
      - id: kind
        type: b7
        enum: kind
      - id: length
        type: u2
      - id: content
        size: length
        type:
          switch-on: kind
          cases:
            kind::nodata: nodata
            kind::geotransform: geotransform
            kind::epsg: epsg
            kind::wkt: packed_text
            kind::start_time: time
            kind::band_list: text
            kind::sensor: text
            kind::band_texts: texts
            kind::calibration: calibration
            kind::units: texts
            kind::colours: colours
            kind::tags: packed_tags
            kind::run: run
            kind::profile: profile
            kind::bayer: bayer
            kind::bounds: bounds(length)
            kind::tile_size: tile_size
    enums:
      kind:
        1: nodata
        2: geotransform
        3: epsg
        4: wkt
        5: start_time
        6:
          id: band_list
          doc: Band ids separated by commas.
        7: sensor
        16:
          id: band_texts
          doc: Band ids, instead of 6 where one has a comma.
        17: calibration
        18:
          id: units
          doc: Of the physical values, one for all bands or one for each.
        19: colours
        20: tags
        21: run
        22: profile
        23: bayer
        24: bounds
        27: tile_size

  nodata:
    seq:
      - id: value
        type: s4
        doc: Sample value that means there are no data.

  geotransform:
    doc: x = x0 + col dx + row rx; y = y0 + col ry + row dy.
    seq:
      - id: x0
        type: f8
      - id: dx
        type: f8
      - id: rx
        type: f8
      - id: y0
        type: f8
      - id: ry
        type: f8
      - id: dy
        type: f8

  epsg:
    seq:
      - id: code
        type: u4

  text:
    seq:
      - id: text
        type: str
        size-eos: true
        encoding: UTF-8

  texts:
    seq:
      - id: texts
        type: strz
        encoding: UTF-8
        repeat: eos

  packed_text:
    doc: WKT as a zlib stream, at most 65,536 bytes expanded.
    seq:
      - id: unpacked
        size-eos: true
        process: zlib
        type: text

  packed_tags:
    doc: Tags of the file that the scene was made of as a zlib stream, at most 65,536 bytes expanded.
    seq:
      - id: unpacked
        size-eos: true
        process: zlib
        type: tags

  tags:
    seq:
      - id: tags
        type: tag
        repeat: eos

  tag:
    seq:
      - id: place
        type: strz
        encoding: UTF-8
        doc: Empty for the file, a number from 1 for a band, else the name of a metadata domain.
      - id: key
        type: strz
        encoding: UTF-8
      - id: value
        type: strz
        encoding: UTF-8

  calibration:
    doc: One for all bands or one for each.
    seq:
      - id: bands
        type: linear
        repeat: eos

  linear:
    doc: physical value = sample x scale + offset.
    seq:
      - id: scale
        type: f8
      - id: offset
        type: f8

  colours:
    doc: Colour that a band shows, one for all bands or one for each.
    seq:
      - id: colours
        type: u1
        repeat: eos
        doc: As in GDAL's GDALColorInterp, 0 none, 1 grey, 3 red, 4 green, 5 blue, ...

  run:
    seq:
      - id: run
        type: u4
        valid:
          min: 1
          max: 0xffffff
        doc: Number that tells the encoding from others of its scene id.

  profile:
    doc-ref: SPEC.md, section 21
    seq:
      - id: digest
        size: 8
        doc: First bytes of the SHA-256 of the spectral profile that the scene is coded with.

  bayer:
    doc: The bands are the planes of a Bayer mosaic.
    doc-ref: SPEC.md, section 9
    seq:
      - id: pattern
        type: u1
        enum: pattern
        valid:
          in-enum: true
    enums:
      pattern:
        0: rggb
        1: bggr
        2: grbg
        3: gbrg

  tile_size:
    seq:
      - id: eighths
        type: u1
        doc: Rows and columns of tiles, in 8 pixels.

  bounds:
    doc: Bounds on the error of tiles in two parts.
    doc-ref: SPEC.md, section 20
    params:
      - id: length
        type: u2
    seq:
      - id: first_part
        type: bound(num_bands)
      - id: both_parts
        type: bound(num_bands)
    instances:
      num_bands:
        value: length / 4 - 2
        doc: 1 for one bound for all bands.

  bound:
    params:
      - id: num_bands
        type: s4
    seq:
      - id: root
        type: u4
        doc: Factor of the square root of the sample in 1/256; 0 for none.
      - id: bands
        type: u2
        repeat: expr
        repeat-expr: num_bands
        doc: DN.

  end:
    doc: End of a scene.
    doc-ref: SPEC.md, section 2, kind 3
    seq:
      - id: height
        type: u4
        valid:
          min: 1
          max: 0x1000000
      - id: num_segments
        type: u4
        doc: Segments written before this one, modulo 2^32.
      - id: run
        type: run
        if: not _io.eof
        doc: Not there where it is 0.

  repair:
    doc: Repair symbol of the erasure code.
    doc-ref: SPEC.md, section 15
    seq:
      - id: series
        type: u4
      - id: num_packets
        type: u2
        valid:
          min: 1
          max: 4096
        doc: k, packets of the group.
      - id: symbol
        size-eos: true
