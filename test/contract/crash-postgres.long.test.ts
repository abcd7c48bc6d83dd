import { crashContract } from './crash-suite.ts';

crashContract('postgres');
