//! Round constants of the Starknet Poseidon permutation in the form `hades` wants them.
//!
//! The published constant `i` is SHA-256 of the ASCII text `Hades` and the decimal `i`, as a
//! big-endian integer modulo P; round `r` adds constants 3r, 3r + 1 and 3r + 2. Full rounds keep
//! theirs. Those of the 83 partial rounds are merged into one element a round (see `hades`). All
//! stand in Montgomery form. Nothing here is believed: a test in `hades` derives every entry from
//! SHA-256 again. A table in a file of its own, nothing else.
//!
//! Source of the rule: entry S2 of the venue's list.

use super::field::Element;

/// Constants of rounds 0 to 4: the four opening full rounds and the first partial one. From the
/// second row on the second and third element stand 4P higher.
pub const OPENING: [[Element; 3]; 5] = [
    [
        Element::hex(b"04056cdd9992bdde62818313eae79571fb041a7cb2aca4da8048052ec221e1ea"),
        Element::hex(b"0484554f61e49665ae733d752c2021859695782cbd6777836cfd5c8f3580f047"),
        Element::hex(b"058f9a5ad4dd597e74c4ec65168c766247faedab221ec217c90f316975532c64"),
    ],
    [
        Element::hex(b"01129db57f9b90bc24a83901671fa00cf6f7bde00871aba22d864df13e94add8"),
        Element::hex(b"2761fbc4956d26c90cba313bbb561f5f4e07677f574e6fe470811a0d389765f4"),
        Element::hex(b"241bb66b183c3049a033b0a872f61412b5db4cf52a39d49b0842907fc24956c8"),
    ],
    [
        Element::hex(b"0641854fe32a523ad5c49c2ce3d348692e99c7e0a46caf1c6c7a80c6fc38a8d1"),
        Element::hex(b"2359578f7bb96b0b82d487d18cee49045530a38e869b737208d65da24e999d91"),
        Element::hex(b"27090d9a992eac14810aa762455d387845efb05959eab7ceeff8b9519fd5c09f"),
    ],
    [
        Element::hex(b"031182ed969f2a10c80bd628752a2d390f27dbe763eb7953a3d9d00ce2f6e2b5"),
        Element::hex(b"270a3cd4dccb90fbd5d6cc556ec2f150243da31ec1d31ad9bfec01388817d482"),
        Element::hex(b"200f168c7fb7405d8f864b0632224ec172415ee326860729b590ba90cdb0eff7"),
    ],
    [
        Element::hex(b"04048eba2853205a80bc8005d6728efd9cda875a0580f6ffad1093789bb66c66"),
        Element::hex(b"22cb0da66c9db4c9925778c140ce07e71d09bd7b5a9dd01ce05abe8b2397c2b0"),
        Element::hex(b"25618630211d027f5918e10c4ecc005c24aaf064d3ca097fc3f7a99f4963dd57"),
    ],
];

/// Joins the first two lanes' sum at the entry of the partial rounds.
pub const ENTRY: Element =
    Element::hex(b"062eb31862632bce5c3d60f31512a82ef97bbdc04d2d495ab1d439d93b2120e6");

/// One a partial round: what the recurrence of the sum adds.
pub const PARTIAL: [Element; 83] = [
    Element::hex(b"06854c02f436a7130a08f1349c986aa225cdd89ee039dce302507a9126459651"),
    Element::hex(b"00cdea2ba754c81ea3c0bd1fbe8b0695460d770023bc0664c471318b77f3511b"),
    Element::hex(b"043df802c9881417b94e7030fc52e3cee7077c8859c7244dab71e1411a16f3a7"),
    Element::hex(b"047fbbe1703357e69c5299c2fd266fa78b5228194308de87f41e9ddce50496da"),
    Element::hex(b"05865e9eefdd9b5629b68d6f2e5e2764bd558f627df2041182412b58572f8a29"),
    Element::hex(b"03dc28160337a5957b9686fe10c1c1d89bc965f42c24c700735ff2ba8aed452c"),
    Element::hex(b"047af4d7f3a6d40bc3c7cfdf979981fcd27ac2aacb8805c340521d492b13f4e2"),
    Element::hex(b"041ef36d08a200984a628884d7546340b169818788c35109a36a1e6bb6ef2631"),
    Element::hex(b"060be98f29d1fa149095facbf64892d509d37b6891e761237d348d97ee390244"),
    Element::hex(b"04a82946427bd903d9a73e25f4b33d91d5e5e4d92df439366e9d42cbdc8420aa"),
    Element::hex(b"06383d9fa9d0cc0a931ce95cb239a9d71280a095c306782a6acf48ecf5313bf8"),
    Element::hex(b"0151296c66fbfcd537959faacb19732b13b1026c29883f200133c1e026599ba3"),
    Element::hex(b"05ce0245179f9ca8634f307991095f382d71ecced96767a7cf59b5f48391126f"),
    Element::hex(b"06f332110e91180403ed28ae23336c62469dffbcabfa3251314f9a1b11daefae"),
    Element::hex(b"01f03194ce3aee05a42e1dcd85d73ad11699995a883f87cea38042af5d3c3573"),
    Element::hex(b"01e69fee6ecfbe43e6d2139ca8f9af5a009d1d651dd5e8aafe510e0845cd63c9"),
    Element::hex(b"035bdf06426b5247bc40497638d09d9fbd7b349b50180504fbea85d0c32e646d"),
    Element::hex(b"030e3cfa29abec330528ddade3b6219cd1d7207b86fd35f5076cdf34448d91ec"),
    Element::hex(b"06814c1436db4e47a3584703940b66a87ac9239ad6032f8a01088cdcf833f888"),
    Element::hex(b"04d44b8d44c48a205d7c487f9f6d585c6543984003ebb281ee7ee4309c5251c6"),
    Element::hex(b"076a6fb6e591e2fd7b4e17a9451294f57b30aa5c37ba40fd57019295fb91167b"),
    Element::hex(b"01e24f41ba191ad2d72f8e8ed3bc309e64f44141e1f1aadd6ece1df3be000db8"),
    Element::hex(b"07df3ac0571edb03a3d524a9729fabf4fcd8e8ba4b2971ee8dcda8b6fcce360d"),
    Element::hex(b"025e54783d6e079354ce40f3daa80ec1936de18cc11acbb28e3e058431e16449"),
    Element::hex(b"0713b950b37dc7e2b13c4b9c7aa11e5974934e8bd7c6aab11c69c3cfd566b828"),
    Element::hex(b"04b99132cd06aeea488adf17ada36d92197decd4bb00594434bbc8cb646eb15a"),
    Element::hex(b"06f87521a411223f1e19eaadfb18f5e3ace3b6e4879290fecb4224f3a5f6db27"),
    Element::hex(b"03861d02993c701f30c7995b398495178be7b182d7881a14ab37b00c3cb3f618"),
    Element::hex(b"042b4caee1ea832f705e75df81fac38851b2d2820e0ce300dc33966862968497"),
    Element::hex(b"075ec09effa2fe28a3a49aefc9eae40becf06c840ac89c44df07e5acfd4c83d6"),
    Element::hex(b"01da6d21c3ead221a423048387cd99a1355e02615d41070e82b7986a0f44ca74"),
    Element::hex(b"0587268752dc2479bd52430b8d027913361d6cfe8e989a731828cbb0e69c52fb"),
    Element::hex(b"039dedc177d315ee59905dd5bd7a7d741a4d365b6c5f3175c8a00a01d1e254a8"),
    Element::hex(b"062ff4e545404b99ce3ea5d21a0e325fb8c00dca8bb5500fee469a8cb5b1a9e9"),
    Element::hex(b"02f5f7b9f2f3b6e7c2f32dcfdcfd24a40f619df8fee47504ed258278b01c1c01"),
    Element::hex(b"0244a2956f66bc00f698473635ba1b5f4d02bcac21c07f648db5b193838fffc7"),
    Element::hex(b"069b9e0250230a9bd66ec26e7c2399713963cb9a9fcac36b645bd41673f18b67"),
    Element::hex(b"0024a37326be5c5fb62320a6eab326ee27bc74f7715f3737ffb5a1db6cc11482"),
    Element::hex(b"0483808558d3f3c1e8356625e16c38ab83280166081c67ce41eb034097e2a45e"),
    Element::hex(b"01d612a621f2636e43ef8c16999b2051d3a275090825c0827170fae610097027"),
    Element::hex(b"056a4892722bced906d7f7201ec3cec47987d66c920a59913676538054d64177"),
    Element::hex(b"07d5e4a8df0b4b27e265ecf7269af3897574b0306fddbd9aee49505e03cd8513"),
    Element::hex(b"042e69dcacb414498fbd79139a7e977a8f65fe2a8a44c110e93b0e21f334d309"),
    Element::hex(b"054fd573f450e343ae37c2eeb90636b9d45c0917f9667f38b7f23089df8e1b66"),
    Element::hex(b"07b569849e6c26521b00082f51088c2daf0da3dab22e2e532c3145d59a5068a6"),
    Element::hex(b"03bba4972fccc7997d9dad4b16c75565b9562e098ac636ceb8ef416af6ecc03c"),
    Element::hex(b"03dc6a77d5d1cc5629dbe7888820d552118da194e3ed4b4c8e907c9fff7cc352"),
    Element::hex(b"07489ec8295c90bb7ddf18a3582954a495da07110e03c546ac5aa5f785e54480"),
    Element::hex(b"06daabfcb0d3fefe23d818bc4bf625d88c622c061454e8ccd4cdbc6576b28db4"),
    Element::hex(b"03ce9cd6681873e2dd795682099286b1c7999f201707c86f0a0ffa0d43abb2e1"),
    Element::hex(b"07f69365d27634b2b110eca13332ae4fb5eff5012e2e5849d8e0e40ad40a8b9f"),
    Element::hex(b"0686b51bb5ff9718609221aa5a94ad571c47e7306eca42c751cbb2d7ee55b2ed"),
    Element::hex(b"05176d63d26febce5af66aea86a79e9ca376a200cc0c6eaacc6640c90d8bc05a"),
    Element::hex(b"00aa6e69ba3880f8c50d5f591f942fb21cd32b5a620a11cdc9de7a7d69759e7f"),
    Element::hex(b"0276e68649ef8922bdc07dc676b6798c54c9dc9fca82c71a7f6df4b14247db17"),
    Element::hex(b"058721fdcfb9e88a78c031c453442e7742fe6dd4d3fe66f5259067a8ab4cda20"),
    Element::hex(b"0223b086d8d07a3a38de8d771d28572758eb66ed5772bdc312b2fc093cc59643"),
    Element::hex(b"03772b35166fe2267a10f35ac3f7e1f3f7ae2c61f90695c8607f836238ebe0c6"),
    Element::hex(b"06f86e1a694f89ff94058f4a4a2a12b5ef59a3c72f097c76fa883293cad3b564"),
    Element::hex(b"03ffa058c04de9b87225aa72cbba1e455633d173522961801585f24c9a9ebd5c"),
    Element::hex(b"058d8816045092fb3a26650dcf3f961fce066294d48793fe5fa15b3a8fca85b2"),
    Element::hex(b"012e76fce6e169ae9df3077b61593056f1ddd04f445ea29917638ce120e4529e"),
    Element::hex(b"01b92265bb63d5710dc08236089385ff340357c57974304f118674a75e3f6010"),
    Element::hex(b"06e1c58e74ff2f96aa81f096aea2584a7d566214de32a58635d57fbafc73587f"),
    Element::hex(b"03fb3e19fb004e60c04af8f8632b3d2dc1535ab1098b67cd9cd65567ec6e4702"),
    Element::hex(b"04de9e47bcc06fa99c591b07a567191bc7f294f621be8895d18e13205dacf39a"),
    Element::hex(b"02cbcd1a28ea653bdc9225bbe7664cb44873fd3763cf8a93edfee258e7f9d415"),
    Element::hex(b"07cd29a28b0c4a92cf1c3da3e19956edd883cfe3a27a3defcff8b3283fe6356f"),
    Element::hex(b"06a4039604575239b41204913172a0c62e755b219203c4bbdbbdcdb4581fbec1"),
    Element::hex(b"041c8bd6e356da3dd4d80b6876552899a787267cde4189de978203903a66ee2b"),
    Element::hex(b"07958080dd46bcad9ff72b8482e814e9a2e16a74ee5e79006878f9344cc9c9cf"),
    Element::hex(b"0229b1ae4718aabf7f02fbd23be9eaf95cd1ec2097f5df8415ecf7452968e3b2"),
    Element::hex(b"0456a8f463aa876ae212dff65cf5b751a8380dc86a891c6a43856103b52fd7f7"),
    Element::hex(b"02d0cc893374f17c6d2d8a9cef6ed2eee65eeb8932bb92840fb1e77540543e3c"),
    Element::hex(b"02630413e2712ea17113cfbe202b1be4ab2e1a3470afc5bb375b804923f6ade2"),
    Element::hex(b"07ad87891514646477d82abc7322d4959b9964a0b2a1fd5c8aef65e8f3381eca"),
    Element::hex(b"062ae3beed0c5c870a5cb2282885c31f7dc41b58fcc04541ed10fe20dc58b5fc"),
    Element::hex(b"063d45e028e431b04a52f5fb43d307ba302a666979baf2c2c25d1128674bf51b"),
    Element::hex(b"05f91c17a42833a87306599211a0eca44f7cb60cba92cd1588f9ab7e64a22d43"),
    Element::hex(b"060fe8918ac3c564c099cbb99405b720f899e35731ef1d9c12b569820e390160"),
    Element::hex(b"01ab16756dc697f9f958f4b91f8418ac69c15b0a3195e0fbb23ce5864298fd53"),
    Element::hex(b"007499aa48c9bc077799680c72b45795c890e474624ec588600953f4b101587f"),
    Element::hex(b"04a8c4a64ca426128f07c2eb5a9c04a1391d54ddd3a68b26f8e3febc477db1eb"),
];

/// Joins the first lane where the partial rounds end.
pub const EXIT: Element =
    Element::hex(b"02dca7f6403ce01ce67877060ee1c1c127ac95e3e776ee52bfd1cc167521425a");

/// Constants of rounds 88 to 90; nothing follows the last. The second and third element of each
/// row stand 4P higher.
pub const CLOSING: [[Element; 3]; 4] = [
    [
        Element::hex(b"027b1ea6b8b8361077deb15c59a84bd2eded06fed3471fc7daa3ddf989058331"),
        Element::hex(b"2472ba38a97b27564e4f98d22eb06627a6bd77fe6b9a42c4042627c6b6dd9973"),
        Element::hex(b"25dfc99aaf3403652ea1f8c1fda483065a9babc31ebf1b341e005a6ca68264b1"),
    ],
    [
        Element::hex(b"07beca41e700759e42ced671cc8c38e79685d00729cf4c56f8b92ee1586c9aa6"),
        Element::hex(b"20c38eee2cdf74ee6ee7f8ea9ab3d3a5480b232c14b8d66dc696b2e44d605391"),
        Element::hex(b"27e6e95fbaf231f5c9e5021d11584b4b3943a84d86f651ab3e1d71e9d88f31d5"),
    ],
    [
        Element::hex(b"05773d17f4bc6c420a2e7aaba92c7ed4be9c72dbab099c46edd376e73ea03960"),
        Element::hex(b"253248ca543c0a3ab6f131ee19f621ac7ea5783359e286dafcad3a8573be7a20"),
        Element::hex(b"2240d06a102ca164164a89c941b7ca921edf0a72a5d60bcda2b8164799455fc3"),
    ],
    [
        Element::hex(b"0000000000000000000000000000000000000000000000000000000000000000"),
        Element::hex(b"2000000000000044000000000000000000000000000000000000000000000004"),
        Element::hex(b"2000000000000044000000000000000000000000000000000000000000000004"),
    ],
];
