import { crashContract } from './crash-suite.ts';
import { pipeContract } from './pipe-suite.ts';

pipeContract('postgres');
crashContract('postgres', ['imap', 'gmail']);
