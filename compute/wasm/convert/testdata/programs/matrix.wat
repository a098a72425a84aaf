;; Multiplies two matrices of 64 by 64 single-precision numbers, n times, and
;; sums up: sums in a local, results in memory.
(module
  (memory 2 2)
  (func (export "run") (param $n i32) (result i64)
    (local $i i32) (local $j i32) (local $k i32) (local $s f32)
    (loop $fill
      (f32.store (local.get $i) (f32.div (f32.convert_i32_s (i32.sub (local.get $i) (i32.const 9000))) (f32.const 977)))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 32768))))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $row
        (local.set $j (i32.const 0))
        (loop $column
          (local.set $s (f32.const 0)) (local.set $k (i32.const 0))
          (loop $next
            (local.set $s (f32.add (local.get $s) (f32.mul
              (f32.load (i32.add (i32.shl (local.get $i) (i32.const 8)) (i32.shl (local.get $k) (i32.const 2))))
              (f32.load offset=16384 (i32.add (i32.shl (local.get $k) (i32.const 8)) (i32.shl (local.get $j) (i32.const 2)))))))
            (br_if $next (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 64))))
          (f32.store offset=32768 (i32.add (i32.shl (local.get $i) (i32.const 8)) (i32.shl (local.get $j) (i32.const 2))) (local.get $s))
          (br_if $column (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 64))))
        (br_if $row (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.extend_i32_u (i32.load offset=40000 (i32.const 0)))))
