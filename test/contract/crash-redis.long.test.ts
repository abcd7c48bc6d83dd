import { crashContract } from './crash-suite.ts';

crashContract('redis');
