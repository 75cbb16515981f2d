/**
 * Bit manipulation: LZCNT (QEMU calls it abm), TZCNT, BMI1, BMI2 and ADX: Intel SDM volume 2.
 */
export const bmiRows = `
F3 0F BC /r             | TZCNT rv, r/mv      | bmi1 else=BSF
F3 0F BD /r             | LZCNT rv, r/mv      | abm else=BSR
66 0F 38 F6 /r          | ADCX ry, r/my       | adx
F3 0F 38 F6 /r          | ADOX ry, r/my       | adx
VEX.LZ.0F38 F2 /r       | ANDN ry, ry, r/my   | bmi1
VEX.LZ.0F38 F3 /1       | BLSR ry, r/my       | bmi1
VEX.LZ.0F38 F3 /2       | BLSMSK ry, r/my     | bmi1
VEX.LZ.0F38 F3 /3       | BLSI ry, r/my       | bmi1
VEX.LZ.0F38 F5 /r       | BZHI ry, r/my, ry   | bmi2
VEX.LZ.F3.0F38 F5 /r    | PEXT ry, ry, r/my   | bmi2
VEX.LZ.F2.0F38 F5 /r    | PDEP ry, ry, r/my   | bmi2
VEX.LZ.F2.0F38 F6 /r    | MULX ry, ry, r/my   | bmi2
VEX.LZ.0F38 F7 /r       | BEXTR ry, r/my, ry  | bmi1
VEX.LZ.66.0F38 F7 /r    | SHLX ry, r/my, ry   | bmi2
VEX.LZ.F3.0F38 F7 /r    | SARX ry, r/my, ry   | bmi2
VEX.LZ.F2.0F38 F7 /r    | SHRX ry, r/my, ry   | bmi2
VEX.LZ.F2.0F3A F0 /r ib | RORX ry, r/my, imm8 | bmi2
`;
